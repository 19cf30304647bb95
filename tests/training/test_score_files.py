import json
import zipfile

import numpy as np
import pytest

from models.decoding.limits import DecodeLimits
from tests.builders.cohorts import make_picture, write_picture
from tests.builders.scans import make_dicom, write_dicom_series
from training.scan_stream import open_decoders
from training.score_commands import make_printable
from training.score_files import score_files

LIMITS = DecodeLimits()


def score(detector, *paths, workers=0):
    with open_decoders(workers, LIMITS) as decode:
        return list(score_files(detector, paths, LIMITS, decode, workers))


def test_paths_come_in_their_order_and_a_folder_by_name(tiny_detector, tmp_path):
    for name in ("b/2.png", "b/1.png", "a.png"):
        write_picture(tmp_path / name, make_picture(1, 48))

    found = score(tiny_detector, tmp_path / "b", tmp_path / "a.png")

    assert [each.path for each in found] == [
        str(tmp_path / name) for name in ("b/1.png", "b/2.png", "a.png")
    ]


def test_more_scans_than_workers_all_come_out(tiny_detector, tmp_path):
    count = 19
    for number in range(count):
        write_picture(tmp_path / f"{number:02d}.png", make_picture(number, 48))

    found = score(tiny_detector, tmp_path)

    assert len(found) == count
    assert all(each.finding is not None for each in found)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04broken"])
def test_a_broken_file_is_an_error_and_spoils_no_other(tiny_detector, tmp_path, content):
    good = write_picture(tmp_path / "good.png", make_picture(1, 48))
    (tmp_path / "broken.dat").write_bytes(content)

    found = score(tiny_detector, good, tmp_path / "broken.dat", good)

    assert [each.error is None for each in found] == [True, False, True]
    assert found[0].finding.verdict == found[2].finding.verdict
    line = found[1].to_json("digest")
    assert set(line) == {"path", "error"}
    assert set(line["error"]) == {"code", "text"}


def test_what_is_not_there_is_an_error(tiny_detector, tmp_path):
    (found,) = score(tiny_detector, tmp_path / "nowhere")

    assert found.error.code == "corrupt_scan"


def test_an_empty_folder_is_an_error(tiny_detector, tmp_path):
    (found,) = score(tiny_detector, tmp_path)

    assert found.error.code == "no_pixels"


def test_a_file_without_a_byte_is_an_error_and_not_passed_over(tiny_detector, tmp_path):
    (tmp_path / "zero.dcm").touch()

    (found,) = score(tiny_detector, tmp_path)

    assert found.error.code == "unknown_format"


def test_a_zip_in_a_folder_says_where_its_scans_lie(tiny_detector, tmp_path):
    picture = write_picture(tmp_path / "plain.png", make_picture(1, 48))
    with zipfile.ZipFile(tmp_path / "inbox.zip", "w") as archive:
        archive.write(picture, "deep/one.png")
    picture.unlink()

    (found,) = score(tiny_detector, tmp_path)

    assert found.path == f"{tmp_path}/inbox.zip:deep/one.png"
    assert found.finding is not None


def test_the_slices_of_a_series_are_one_scan(tiny_detector, tmp_path):
    planes = np.stack([make_picture(number, 48) for number in range(5)])
    series = write_dicom_series(tmp_path / "series", planes)

    (found,) = score(tiny_detector, series)

    assert found.scan.slice_count == 5
    np.testing.assert_array_equal(found.scan.pixels, planes.astype(np.float32))


def test_a_line_of_json_holds_plain_values_only(tiny_detector, tmp_path):
    pixels = make_picture(1, 48)
    pixels[20:30, 20:30] = 255
    (tmp_path / "one.dcm").write_bytes(make_dicom(pixels, PixelSpacing=[0.5, 0.5]))

    (found,) = score(tiny_detector, tmp_path / "one.dcm")

    line = json.loads(json.dumps(found.to_json("digest"), allow_nan=False))
    assert line["bundle"] == "digest"
    assert line["regions"]
    for region in line["regions"]:
        assert region["area_mm2"] == pytest.approx(region["area_px"] / 4)
        row0, column0, row1, column1 = region["box"]
        assert row0 <= region["peak"][0] < row1
        assert column0 <= region["peak"][1] < column1


def test_a_decoder_that_dies_is_one_unread_scan(tiny_detector, tmp_path):
    good = write_picture(tmp_path / "good.png", make_picture(1, 48))
    big = write_picture(tmp_path / "big.png", make_picture(1, 200))
    limits = DecodeLimits(max_slice_pixels=100 * 100)

    with open_decoders(1, limits) as decode:
        found = list(score_files(tiny_detector, [good, big, good], limits, decode, 1))

    assert [each.error is None for each in found] == [True, False, True]
    assert found[1].error.code == "too_many_pixels"


@pytest.mark.parametrize(
    ("line", "expected"),
    [("a.png  typical", "a.png  typical"), ("\x1b[2Jx\n\x07", "?[2Jx??"), ("\u202efdp", "?fdp")],
)
def test_a_name_does_nothing_to_the_terminal(line, expected):
    assert make_printable(line) == expected
