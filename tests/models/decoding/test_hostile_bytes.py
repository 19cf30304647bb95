"""Whatever the bytes are, nothing but a DecodeError comes out of the decoders."""

import gzip

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless

from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.errors import DecodeError
from tests.builders.dicom import build_dicom, build_encoded, build_slice, make_ramp, read_bundled
from tests.builders.pictures import build_nifti, build_zip, encode_picture, encode_tiff

# Small, so that a header that was hit by chance does not make the test slow.
LIMITS = DecodeLimits(
    max_pixels=2**20, max_slice_pixels=2**20, max_frames=64, max_inflated_bytes=2**24
)
GREY = np.arange(48, dtype=np.uint8).reshape(8, 6)
EIGHT = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
SEEDS = {
    "native": build_dicom(make_ramp(frames=2), RescaleSlope=2, RescaleIntercept=1),
    "slice": build_slice(3, 1, PixelPaddingValue=1, WindowCenter=1, WindowWidth=2),
    "rle": read_bundled("MR_small_RLE.dcm"),
    "deflated": read_bundled("image_dfl.dcm"),
    "palette": read_bundled("examples_palette.dcm")[:20_000],
    "bits": read_bundled("liver_expb_1frame.dcm"),
    "jpeg": build_encoded([encode_picture(GREY, "JPEG")], JPEGBaseline8Bit, **EIGHT),
    "j2k": build_encoded([imagecodecs.jpeg2k_encode(GREY)], JPEG2000Lossless, **EIGHT),
    "jpegls": build_encoded([imagecodecs.jpegls_encode(GREY)], JPEGLSLossless, **EIGHT),
    "extended": read_bundled("JPGExtended.dcm"),
    "png": encode_picture(GREY, "PNG"),
    "picture": encode_picture(GREY, "JPEG"),
    "webp": encode_picture(GREY, "WEBP"),
    "bmp": encode_picture(GREY, "BMP"),
    "tiff": encode_tiff([GREY, GREY], photometric="minisblack", compression="zlib"),
    "nifti": build_nifti(np.zeros((3, 4, 5), np.int16)),
    "packed nifti": gzip.compress(build_nifti(np.zeros((3, 4, 5), np.int16)), mtime=0),
    "zip": build_zip({"a.dcm": build_slice(1), "b.dcm": build_slice(2)}),
}
few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def decode_hostile(content: bytes) -> bool:
    """Decode, and tell whether a scan or a named refusal came of it; other errors escape."""
    try:
        return decode_scan(content, LIMITS).slice_count > 0
    except DecodeError as error:
        return bool(str(error))


@pytest.mark.parametrize("name", SEEDS)
@few
@given(data=st.data())
def test_changed_bytes_raise_nothing_else(name: str, data: st.DataObject) -> None:
    content = bytearray(SEEDS[name])
    # Headers first: most of a file is pixels, where little can go wrong.
    place = st.one_of(st.integers(0, min(600, len(content) - 1)), st.integers(0, len(content) - 1))
    for at, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=6)):
        content[at] = value

    assert decode_hostile(bytes(content))


@pytest.mark.parametrize("name", SEEDS)
@few
@given(data=st.data())
def test_cut_bytes_raise_nothing_else(name: str, data: st.DataObject) -> None:
    content = SEEDS[name]
    end = data.draw(st.integers(0, len(content) - 1))

    assert decode_hostile(content[:end])


@few
@given(head=st.sampled_from(sorted(SEEDS)), tail=st.binary(max_size=600), keep=st.integers(0, 200))
def test_made_up_bytes_behind_a_good_start_raise_nothing_else(
    head: str, tail: bytes, keep: int
) -> None:
    assert decode_hostile(SEEDS[head][:keep] + tail)


@few
@given(content=st.binary(max_size=400))
def test_random_bytes_raise_nothing_else(content: bytes) -> None:
    assert decode_hostile(content)
