"""Real DICOM that every machine has: the test files in pydicom's wheel."""

import numpy as np
import pytest

from models.decoding.decode import decode_scan
from models.decoding.dicom_pixels import decode_stored_values
from models.decoding.limits import DecodeLimits
from models.errors import CorruptScan
from tests.builders.dicom import read_bundled

LIMITS = DecodeLimits()
# Encodings of one picture; the first of each row is native.
SAME_VALUES = [
    ("MR_small.dcm", "MR_small_RLE.dcm"),
    ("MR_small.dcm", "MR_small_bigendian.dcm"),
    ("MR_small.dcm", "MR_small_expb.dcm"),
    ("MR_small.dcm", "MR_small_implicit.dcm"),
    ("MR_small.dcm", "MR_small_padded.dcm"),
    ("MR_small.dcm", "MR_small_jp2klossless.dcm"),
    ("MR_small.dcm", "MR_small_jpeg_ls_lossless.dcm"),
    ("rtdose.dcm", "rtdose_rle.dcm"),
    ("rtdose.dcm", "rtdose_expb.dcm"),
    ("rtdose_1frame.dcm", "rtdose_rle_1frame.dcm"),
    ("liver_1frame.dcm", "liver_expb_1frame.dcm"),
    ("SC_rgb_rle.dcm", "SC_rgb_gdcm_KY.dcm"),
    ("SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm"),
]
# name: slices, rows, columns, bit depth, whether colour.
FACTS = {
    "CT_small.dcm": (1, 128, 128, 16, False),
    "693_J2KI.dcm": (1, 512, 512, 14, False),
    "JPEG2000.dcm": (1, 1024, 256, 16, False),
    "JPEG-lossy.dcm": (1, 1024, 256, 12, False),
    "JPGExtended.dcm": (1, 1024, 256, 12, False),
    "JPEGLSNearLossless_08.dcm": (1, 45, 10, 8, False),
    "JPEGLSNearLossless_16.dcm": (1, 50, 10, 16, False),
    "J2K_pixelrep_mismatch.dcm": (1, 512, 512, 13, False),
    "GDCMJ2K_TextGBR.dcm": (1, 400, 400, 8, True),
    "SC_rgb_rle_16bit_2frame.dcm": (2, 100, 100, 16, True),
    "SC_ybr_full_422_uncompressed.dcm": (1, 100, 100, 8, True),
    "SC_rgb_jpeg_app14_dcmd.dcm": (1, 256, 256, 8, True),
    "examples_jpeg2k.dcm": (1, 480, 640, 8, True),
    "examples_palette.dcm": (1, 350, 800, 16, True),
    "examples_ybr_color.dcm": (30, 240, 320, 8, True),
    "image_dfl.dcm": (1, 512, 512, 8, False),
}


def read_stored(name: str) -> np.ndarray:
    return np.stack([frame.values for frame in decode_stored_values(read_bundled(name), LIMITS)])


@pytest.mark.parametrize(("native", "encoded"), SAME_VALUES)
def test_every_encoding_of_a_picture_gives_its_values(native: str, encoded: str) -> None:
    np.testing.assert_array_equal(read_stored(encoded), read_stored(native))


@pytest.mark.parametrize("name", FACTS)
def test_the_facts_of_a_file(name: str) -> None:
    slices, rows, columns, depth, is_color = FACTS[name]

    scan = decode_scan(read_bundled(name), LIMITS)

    assert scan.pixels.shape == (slices, rows, columns)
    assert (scan.bit_depth, scan.is_color) == (depth, is_color)


def test_the_ct_slice_is_in_hounsfield_units() -> None:
    scan = decode_scan(read_bundled("CT_small.dcm"), LIMITS)

    assert (scan.modality, scan.units, scan.spacing_mm) == ("CT", "HU", (0.661468, 0.661468))
    assert scan.pixels[0, :2, :3].tolist() == [[-849, -844, -858], [-838, -841, -867]]


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "meta_missing_tsyntax.dcm"])
def test_broken_files_are_refused(name: str) -> None:
    with pytest.raises(CorruptScan):
        decode_scan(read_bundled(name), LIMITS)
