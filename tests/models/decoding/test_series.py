"""Series from folders and zips: what belongs together, in which order."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import JPEGBaseline8Bit

from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.decoding.scan import UnreadFile
from models.decoding.series import decode_series, find_scans
from models.decoding.worker import BoundedDecoder
from models.errors import CorruptScan, MixedSeries, NoPixels, TooManyFrames, TooManyPixels
from tests.builders.dicom import AXIAL, build_dicom, build_encoded, build_slice, make_ramp
from tests.builders.pictures import build_zip, encode_picture

LIMITS = DecodeLimits()
GREY = np.full((8, 6), 9, np.uint8)


def test_slices_are_sorted_by_position_whatever_their_order() -> None:
    parts = [build_slice(z, value) for z, value in [(4, 3), (-2, 1), (1, 2)]]

    scan = decode_series(parts, LIMITS)

    assert scan.pixels[:, 0, 0].tolist() == [1, 2, 3]
    assert scan.slice_positions_mm == (-2.0, 1.0, 4.0)


def test_the_digest_does_not_depend_on_the_order_of_files() -> None:
    parts = [build_slice(z) for z in range(3)]

    assert decode_series(parts, LIMITS).sha256 == decode_series(parts[::-1], LIMITS).sha256


def test_pictures_keep_the_order_they_are_given_in() -> None:
    parts = [encode_picture(np.full((4, 4), v, np.uint8), "PNG") for v in (3, 1, 2)]

    assert decode_series(parts, LIMITS).pixels[:, 0, 0].tolist() == [3, 1, 2]


def test_slices_without_position_are_sorted_by_instance_number() -> None:
    ramp = make_ramp()
    parts = [build_dicom(ramp + n, InstanceNumber=n) for n in (3, 1, 2)]

    scan = decode_series(parts, LIMITS)

    assert scan.pixels[:, 0, 0].tolist() == [1, 2, 3]
    assert "no positions, slices sorted by instance number" in scan.notes


def test_a_gap_between_slices_is_noted() -> None:
    scan = decode_series([build_slice(z) for z in (0, 1, 2, 4)], LIMITS)

    assert "the slices are not evenly spaced" in scan.notes


def test_padding_of_one_slice_is_kept_for_all() -> None:
    parts = [build_slice(0, 5, PixelPaddingValue=5), build_slice(1, 6, PixelPaddingValue=5)]

    scan = decode_series(parts, LIMITS)

    assert scan.padding is not None
    assert scan.padding.all(axis=(1, 2)).tolist() == [True, False]


@pytest.mark.parametrize(
    "parts",
    [
        [build_slice(0), build_slice(0, 1)],
        [build_slice(0), build_slice(1, SeriesInstanceUID="1.2.3")],
        [build_slice(0), build_slice(1, Modality="MR")],
        [build_slice(0), build_slice(1, ImageOrientationPatient=[0, 1, 0, 0, 0, 1])],
        [build_slice(0), build_slice(1, PhotometricInterpretation="MONOCHROME1")],
        [build_slice(0), build_slice(1, PixelSpacing=[9, 9])],
        [build_slice(0), encode_picture(GREY, "PNG")],
        [encode_picture(GREY, "PNG"), encode_picture(GREY[:4], "PNG")],
        [build_dicom(make_ramp(frames=2)), build_dicom(make_ramp(frames=2))],
    ],
)
def test_files_that_are_no_volume_are_refused(parts: list[bytes]) -> None:
    with pytest.raises(MixedSeries):
        decode_series(parts, LIMITS)


@pytest.mark.parametrize(
    ("change", "error"), [({"max_frames": 2}, TooManyFrames), ({"max_pixels": 100}, TooManyPixels)]
)
def test_limits_hold_for_the_whole_volume(change: dict[str, int], error: type) -> None:
    with pytest.raises(error):
        decode_series([build_slice(z) for z in range(3)], DecodeLimits(**change))


def test_a_folder_holds_a_source_for_each_scan(tmp_path: Path) -> None:
    for z in range(3):
        (tmp_path / f"s{z}").write_bytes(build_slice(z))
    (tmp_path / "view.dcm").write_bytes(build_dicom(make_ramp()))
    (tmp_path / "eye.png").write_bytes(encode_picture(GREY, "PNG"))
    (tmp_path / "broken.dcm").write_bytes(bytes(300))
    (tmp_path / "notes.txt").write_text("passed over")
    (tmp_path / ".hidden").write_bytes(bytes(300))

    found = {Path(source.label).name: len(source.parts) for source in find_scans(tmp_path, LIMITS)}

    assert found == {"view.dcm": 1, "eye.png": 1, "broken.dcm": 1, "s0 (+2 slices)": 3}


def test_stacks_of_one_series_at_one_place_are_told_apart(tmp_path: Path) -> None:
    for echo in (1, 2):
        for z in range(2):
            (tmp_path / f"{echo}{z}").write_bytes(build_slice(z, echo, EchoNumbers=echo))

    found = list(find_scans(tmp_path, LIMITS))

    assert [len(source.parts) for source in found] == [2, 2]
    assert {decode_series(s.parts, LIMITS).pixels.max() for s in found} == {1.0, 2.0}


def test_slices_of_two_orientations_are_two_scans(tmp_path: Path) -> None:
    for z in range(2):
        (tmp_path / f"a{z}").write_bytes(build_slice(z))
        tilted = {"ImageOrientationPatient": [1, 0, 0, 0, 0.6, 0.8]}
        (tmp_path / f"b{z}").write_bytes(build_slice(z, **tilted))

    found = list(find_scans(tmp_path, LIMITS))

    assert [len(source.parts) for source in found] == [2, 2]


@pytest.mark.parametrize("depth", [0, 1])
def test_a_zip_in_memory_or_on_disk_gives_the_series(tmp_path: Path, depth: int) -> None:
    archive = build_zip({f"dir/{z}.dcm": build_slice(z, z) for z in range(3)})
    for _ in range(depth):
        archive = build_zip({"inner.zip": archive, "readme.txt": b"text"})
    path = tmp_path / "study.bin"
    path.write_bytes(archive)

    for source in (archive, path):
        scan = decode_scan(source, LIMITS)
        assert scan.pixels[:, 0, 0].tolist() == [0, 1, 2]


def test_a_zip_of_two_scans_is_no_scan() -> None:
    archive = build_zip(
        {"a.png": encode_picture(GREY, "PNG"), "b.png": encode_picture(GREY, "PNG")}
    )

    with pytest.raises(MixedSeries):
        decode_scan(archive, LIMITS)


def test_an_empty_folder_holds_no_scan(tmp_path: Path) -> None:
    with pytest.raises(NoPixels):
        decode_scan(tmp_path, LIMITS)


def test_a_missing_file_is_a_decode_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptScan):
        decode_scan(tmp_path / "missing.dcm", LIMITS)


def test_names_from_a_zip_are_made_printable() -> None:
    archive = build_zip({"\x1b[31mred\n.png": encode_picture(GREY, "PNG")})

    (source,) = find_scans(archive, LIMITS)

    assert source.label.isprintable()


def test_an_entry_that_lies_about_its_size_is_refused() -> None:
    picture = encode_picture(np.zeros((300, 300), np.uint8), "BMP")
    archive = bytearray(build_zip({"a.bmp": picture}, method=zipfile.ZIP_DEFLATED))
    size = len(picture).to_bytes(4, "little")
    lie = bytes(archive).replace(size, (100).to_bytes(4, "little"))

    with pytest.raises(CorruptScan):
        decode_scan(lie, LIMITS)


TOLERANT = DecodeLimits(max_unread_share=0.5)


def break_slice(position_mm: float) -> bytes:
    """Give a slice whose header is sound and whose pixels are not."""
    return build_encoded(
        [b"\xff\xd8 no picture"],
        JPEGBaseline8Bit,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        ImageOrientationPatient=AXIAL,
        ImagePositionPatient=[0.0, 0.0, position_mm],
        PixelSpacing=[0.5, 0.5],
    )


@pytest.mark.parametrize("broken", [break_slice(1), b"no scan at all"])
def test_where_it_is_allowed_files_that_give_no_slice_are_told_beside_the_others(
    broken: bytes,
) -> None:
    parts = [build_slice(2, 7), broken, build_slice(0, 5)]

    scan = decode_series(parts, TOLERANT)

    assert scan.pixels[:, 0, 0].tolist() == [5, 7]
    assert [source.file for source in scan.sources] == [2, 0]
    assert [each.file for each in scan.unread] == [1]
    assert scan.slice_positions_mm == (0.0, 2.0)


def test_a_broken_file_is_an_error_unless_it_is_allowed() -> None:
    with pytest.raises(CorruptScan):
        decode_series([build_slice(0), break_slice(1)], LIMITS)


@pytest.mark.parametrize("parts", [[break_slice(0)], [break_slice(0), break_slice(1)]])
def test_a_series_of_which_most_is_broken_is_refused(parts: list[bytes]) -> None:
    with pytest.raises(CorruptScan):
        decode_series(parts, TOLERANT)


def test_files_that_give_no_slice_are_told_across_the_bounded_child() -> None:
    with BoundedDecoder(TOLERANT) as decoder:
        scan = decoder.decode([build_slice(0), break_slice(1), build_slice(2)])

    assert scan.unread == (UnreadFile(1, "corrupt_scan"),)
