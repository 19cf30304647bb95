"""The format is told from the bytes."""

import numpy as np
import pytest

from models.decoding.sniff import is_text, sniff_format
from models.errors import UnknownFormat
from tests.builders.dicom import build_dicom, make_ramp, read_bundled
from tests.builders.pictures import build_gzip_bomb, build_nifti, build_zip, encode_picture

PICTURE = np.eye(9, dtype=np.uint8)
VOXELS = np.zeros((3, 3, 3), np.int16)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (encode_picture(PICTURE, "PNG"), "png"),
        (encode_picture(PICTURE, "JPEG"), "jpeg"),
        (encode_picture(PICTURE, "WEBP"), "webp"),
        (encode_picture(PICTURE, "BMP"), "bmp"),
        (encode_picture(PICTURE, "TIFF"), "tiff"),
        (build_nifti(VOXELS), "nifti"),
        (build_gzip_bomb(VOXELS, 0), "nifti_gz"),
        (build_zip({}), "zip"),
        (build_zip({"a": b"b"}), "zip"),
        (build_dicom(make_ramp()), "dicom"),
        (build_dicom(make_ramp())[132:], "dicom"),
        (read_bundled("ExplVR_BigEndNoMeta.dcm"), "dicom"),
        (read_bundled("ExplVR_LitEndNoMeta.dcm"), "dicom"),
        (encode_picture(PICTURE, "TIFF")[:8].ljust(128, b"\0") + b"DICM", "dicom"),
    ],
)
def test_each_format_is_known_by_its_first_bytes(content: bytes, name: str) -> None:
    assert sniff_format(content[:512]) == name


@pytest.mark.parametrize("content", [b"", b"\0", b"hello world, this is text", b"\x7fELF" * 99])
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(UnknownFormat):
        sniff_format(content)


@pytest.mark.parametrize(("content", "expected"), [(b"a,b\r\n1,2\t", True), (b"a\0", False)])
def test_text_is_told_from_binary(content: bytes, *, expected: bool) -> None:
    assert is_text(content) is expected
