"""DICOM to real units: rescale, tables, inversion, padding, colour, geometry."""

import numpy as np
import pytest
from pydicom.dataset import Dataset

from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.decoding.scan import VoiWindow
from models.errors import CorruptScan, NoPixels, TooManyFrames, TooManyPixels, UnsupportedEncoding
from tests.builders.dicom import (
    AXIAL,
    build_dicom,
    build_slice,
    make_dataset,
    make_ramp,
    read_bundled,
    write_dataset,
)

LIMITS = DecodeLimits()
RAMP = make_ramp()
SIGNED = RAMP.astype(np.int16) - 24


def make_item(**attributes: object) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def build_enhanced(origins_mm: list[float], slopes: list[float]) -> bytes:
    """Give an enhanced multi-frame file; frame n holds nothing but n + 1."""
    frames = np.stack([np.full((4, 5), n + 1, np.uint16) for n in range(len(origins_mm))])
    dataset = make_dataset(frames)
    dataset.SharedFunctionalGroupsSequence = [
        make_item(
            PixelMeasuresSequence=[make_item(PixelSpacing=[0.7, 0.6])],
            PlaneOrientationSequence=[make_item(ImageOrientationPatient=AXIAL)],
            FrameVOILUTSequence=[make_item(WindowCenter=[5], WindowWidth=[10])],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        make_item(
            PlanePositionSequence=[make_item(ImagePositionPatient=[0.0, 0.0, origin])],
            PixelValueTransformationSequence=[
                make_item(RescaleSlope=slope, RescaleIntercept=0, RescaleType="US")
            ],
        )
        for origin, slope in zip(origins_mm, slopes, strict=True)
    ]
    return write_dataset(dataset)


@pytest.mark.parametrize("pixels", [RAMP, SIGNED, RAMP.astype(np.uint8), RAMP.astype(np.uint32)])
def test_stored_values_come_through_unchanged(pixels: np.ndarray) -> None:
    scan = decode_scan(build_dicom(pixels), LIMITS)

    np.testing.assert_array_equal(scan.pixels[0], pixels)


def test_rescaled_ct_is_in_hounsfield_units() -> None:
    scan = decode_scan(build_dicom(RAMP, RescaleSlope=2, RescaleIntercept=-1024), LIMITS)

    np.testing.assert_array_equal(scan.pixels[0], RAMP * 2.0 - 1024)
    assert scan.units == "HU"


def test_a_slope_of_zero_is_refused() -> None:
    with pytest.raises(CorruptScan, match="slope"):
        decode_scan(build_dicom(RAMP, RescaleSlope=0, RescaleIntercept=0), LIMITS)


def test_a_modality_lut_is_applied_and_clamped() -> None:
    table = make_item(
        LUTDescriptor=[3, 10, 16],
        ModalityLUTType="OD",
        LUTData=np.array([100, 50, 7], np.uint16).tobytes(),
    )
    content = build_dicom(RAMP, ModalityLUTSequence=[table])

    scan = decode_scan(content, LIMITS)

    assert scan.pixels[0].ravel()[9:14].tolist() == [100, 100, 50, 7, 7]
    assert scan.units == "OD"


@pytest.mark.parametrize(
    ("pixels", "bits", "expected"), [(RAMP, 12, 4095.0 - RAMP), (SIGNED, 16, -1.0 - SIGNED)]
)
def test_monochrome1_is_turned_over_the_stored_range(
    pixels: np.ndarray, bits: int, expected: np.ndarray
) -> None:
    content = build_dicom(
        pixels,
        PhotometricInterpretation="MONOCHROME1",
        BitsStored=bits,
        WindowCenter=40,
        WindowWidth=80,
    )

    scan = decode_scan(content, LIMITS)

    np.testing.assert_array_equal(scan.pixels[0], expected)
    assert scan.is_inverted
    assert scan.bit_depth == bits
    assert scan.voi_windows == (VoiWindow((4095.0 if bits == 12 else -1.0) - 40, 80.0),)


def test_unused_high_bits_are_cut_off() -> None:
    content = build_dicom(RAMP | 0xF000, BitsStored=12)

    scan = decode_scan(content, LIMITS)

    np.testing.assert_array_equal(scan.pixels[0], RAMP)
    assert scan.bit_depth == 12


@pytest.mark.parametrize(
    ("pixels", "attributes", "expected"),
    [
        (RAMP, {"PixelPaddingValue": 3}, RAMP == 3),
        (RAMP, {"PixelPaddingValue": 3, "PixelPaddingRangeLimit": 7}, (RAMP >= 3) & (RAMP <= 7)),
        (RAMP, {"PixelPaddingValue": 7, "PixelPaddingRangeLimit": 3}, (RAMP >= 3) & (RAMP <= 7)),
        (SIGNED, {"PixelPaddingValue": -24}, SIGNED == -24),
    ],
)
def test_padding_is_marked(
    pixels: np.ndarray, attributes: dict[str, int], expected: np.ndarray
) -> None:
    scan = decode_scan(build_dicom(pixels, **attributes), LIMITS)

    np.testing.assert_array_equal(scan.padding, expected[None])


def test_padding_that_no_pixel_has_is_none() -> None:
    scan = decode_scan(build_dicom(RAMP, PixelPaddingValue=60000), LIMITS)

    assert scan.padding is None


def test_windows_are_kept_and_empty_ones_dropped() -> None:
    scan = decode_scan(build_dicom(RAMP, WindowCenter=[40, 50], WindowWidth=[80, 0]), LIMITS)

    assert scan.voi_windows == (VoiWindow(40.0, 80.0),)


def test_colour_becomes_luminance() -> None:
    rgb = np.stack([RAMP, RAMP + 9, RAMP + 90], axis=-1).astype(np.uint8)

    scan = decode_scan(build_dicom(rgb), LIMITS)

    np.testing.assert_allclose(scan.pixels[0], rgb @ np.array([0.299, 0.587, 0.114]), rtol=1e-6)
    assert scan.is_color


def test_the_first_channel_of_ybr_is_the_luminance() -> None:
    ybr = np.dstack([RAMP, np.full_like(RAMP, 128), np.full_like(RAMP, 129)]).astype(np.uint8)

    scan = decode_scan(build_dicom(ybr, PhotometricInterpretation="YBR_FULL"), LIMITS)

    np.testing.assert_array_equal(scan.pixels[0], RAMP)
    assert not scan.is_color


def test_an_unknown_photometric_interpretation_is_refused() -> None:
    with pytest.raises((UnsupportedEncoding, CorruptScan)):
        decode_scan(build_dicom(RAMP, PhotometricInterpretation="CMYK"), LIMITS)


@pytest.mark.parametrize(
    ("attributes", "expected", "is_noted"),
    [
        ({"PixelSpacing": [0.5, 0.25]}, (0.5, 0.25), False),
        ({"ImagerPixelSpacing": [0.15, 0.15]}, (0.15, 0.15), True),
        ({"PixelSpacing": [0.5, 0.5], "ImagerPixelSpacing": [1, 1]}, (0.5, 0.5), False),
        ({"PixelSpacing": [0, 1]}, None, True),
        ({}, None, False),
    ],
)
def test_spacing_is_taken_from_the_patient_first(
    attributes: dict[str, list[float]], expected: tuple[float, float] | None, *, is_noted: bool
) -> None:
    scan = decode_scan(build_dicom(RAMP, **attributes), LIMITS)

    assert scan.spacing_mm == expected
    assert bool(scan.notes) is is_noted


def test_the_place_of_a_slice_is_kept() -> None:
    scan = decode_scan(build_slice(12.5), LIMITS)

    assert scan.slice_positions_mm == (12.5,)
    assert scan.placement is not None
    assert scan.placement.row_direction == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("orientation", [[1, 0, 0, 1, 0, 0], [0] * 6, [1, 0, 0]])
def test_an_orientation_that_is_none_gives_no_place(orientation: list[float]) -> None:
    content = build_dicom(
        RAMP, ImageOrientationPatient=orientation, ImagePositionPatient=[0.0, 0.0, 0.0]
    )

    assert decode_scan(content, LIMITS).placement is None


def test_frames_of_an_enhanced_file_are_scaled_each_and_sorted() -> None:
    scan = decode_scan(build_enhanced([6.0, 2.0, 4.0], [10.0, 100.0, 1000.0]), LIMITS)

    assert scan.pixels[:, 0, 0].tolist() == [200.0, 3000.0, 10.0]
    assert scan.slice_positions_mm == (2.0, 4.0, 6.0)
    assert scan.spacing_mm == (0.7, 0.6)
    assert scan.voi_windows == (VoiWindow(5.0, 10.0),)
    assert "frames sorted by position" in scan.notes


def test_frames_at_one_position_keep_their_order() -> None:
    scan = decode_scan(build_enhanced([4.0, 2.0, 4.0], [1.0] * 3), LIMITS)

    assert scan.pixels[:, 0, 0].tolist() == [1.0, 2.0, 3.0]
    assert "several frames at one position, kept in stored order" in scan.notes


def test_floating_point_pixels_keep_what_is_not_finite_and_note_it() -> None:
    dataset = make_dataset(np.zeros((2, 2), np.uint32), PixelData=None)
    dataset.FloatPixelData = np.array([1.5, np.nan, -2.5, np.inf], np.float32).tobytes()

    scan = decode_scan(write_dataset(dataset), LIMITS)

    np.testing.assert_array_equal(scan.pixels[0], [[1.5, np.nan], [-2.5, np.inf]])
    assert "some pixels are not finite" in scan.notes


def test_a_missing_preamble_is_noted() -> None:
    scan = decode_scan(build_dicom(RAMP)[132:], LIMITS)

    np.testing.assert_array_equal(scan.pixels[0], RAMP)
    assert "no preamble" in scan.notes


@pytest.mark.parametrize("name", ["rtplan.dcm", "reportsi.dcm", "empty_charset_LEI.dcm"])
def test_a_file_without_picture_holds_no_pixels(name: str) -> None:
    with pytest.raises(NoPixels):
        decode_scan(read_bundled(name), LIMITS)


def test_a_dicomdir_holds_no_pixels() -> None:
    with pytest.raises(NoPixels):
        decode_scan(read_bundled("dicomdirtests/DICOMDIR"), LIMITS)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"max_pixels": 100}, TooManyPixels),
        ({"max_slice_pixels": 40}, TooManyPixels),
        ({"max_frames": 2}, TooManyFrames),
    ],
)
def test_limits_hold_from_the_header_on(change: dict[str, int], error: type[Exception]) -> None:
    with pytest.raises(error):
        decode_scan(build_dicom(make_ramp(frames=3)), DecodeLimits(**change))


def test_messages_quote_nothing_of_the_patient() -> None:
    content = build_dicom(RAMP, PatientName="Canary^Name", Rows=9000)

    with pytest.raises(CorruptScan) as refused:
        decode_scan(content, LIMITS)

    assert "Canary" not in str(refused.value)


def test_native_values_outside_the_low_bits_are_refused():
    content = build_dicom(make_ramp(), BitsStored=12, HighBit=15)

    with pytest.raises(UnsupportedEncoding, match="up to bit 15"):
        decode_scan(content, DecodeLimits())
