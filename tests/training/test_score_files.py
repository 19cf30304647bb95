import json
import zipfile

import numpy as np
import pytest
import torch

from models.bundle.read import read_bundle
from models.decoding.limits import DecodeLimits
from models.decoding.series import decode_series
from models.errors import DigestMismatch
from tests.builders.bundles import copy_bundle
from tests.builders.cohorts import make_picture, write_picture
from tests.builders.scans import make_dicom, write_dicom_series
from training.score_commands import make_printable
from training.score_files import list_sources
from training.scorers import ScorerSpec, choose_workers, open_scorers

LIMITS = DecodeLimits()


def score(bundle, *paths, workers=1, limits=LIMITS):
    spec = ScorerSpec(bundle, torch.device("cpu"), limits)
    with open_scorers(spec, workers) as score_all:
        return list(score_all(list_sources(paths, limits)))


def test_paths_come_in_their_order_and_a_folder_by_name(tiny_bundle, tmp_path):
    for name in ("b/2.png", "b/1.png", "a.png"):
        write_picture(tmp_path / name, make_picture(1, 48))

    found = score(tiny_bundle, tmp_path / "b", tmp_path / "a.png")

    assert [each.path for each in found] == [
        str(tmp_path / name) for name in ("b/1.png", "b/2.png", "a.png")
    ]


def test_more_scans_than_workers_all_come_out(tiny_bundle, tmp_path):
    count = 19
    for number in range(count):
        write_picture(tmp_path / f"{number:02d}.png", make_picture(number, 48))

    found = score(tiny_bundle, tmp_path)

    assert len(found) == count
    assert all(each.verdict is not None for each in found)


def test_processes_give_the_lines_of_one_process_in_its_order(tiny_bundle, tmp_path):
    for number in range(7):
        write_picture(tmp_path / f"{number}.png", make_picture(number, 48))
    (tmp_path / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    side_by_side = score(tiny_bundle, tmp_path, workers=2)

    alone = score(tiny_bundle, tmp_path)
    assert [each.to_json() for each in side_by_side] == [each.to_json() for each in alone]
    assert [each.error is None for each in alone] == [number != 3 for number in range(7)]


def test_processes_say_why_a_bundle_may_not_be_used(tiny_bundle, tmp_path):
    broken = copy_bundle(tiny_bundle, tmp_path / "broken")
    (broken / "card.md").write_text("Another card.")

    with pytest.raises(DigestMismatch):
        score(broken, tmp_path, workers=2)


def test_few_files_are_worth_no_second_process(tmp_path, monkeypatch):
    monkeypatch.setattr("training.scorers.count_processors", lambda: 4)
    for number in range(250):
        (tmp_path / f"{number}.png").touch()

    assert choose_workers([tmp_path / "0.png"]) == 1
    assert choose_workers([tmp_path]) == 2
    assert choose_workers([tmp_path, tmp_path, tmp_path, tmp_path]) == 4


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04broken"])
def test_a_broken_file_is_an_error_and_spoils_no_other(tiny_bundle, tmp_path, content):
    good = write_picture(tmp_path / "good.png", make_picture(1, 48))
    (tmp_path / "broken.dat").write_bytes(content)

    found = score(tiny_bundle, good, tmp_path / "broken.dat", good)

    assert [each.error is None for each in found] == [True, False, True]
    assert found[0].verdict == found[2].verdict
    line = found[1].to_json()
    assert set(line) == {"path", "error"}
    assert set(line["error"]) == {"code", "text"}


def test_what_is_not_there_is_an_error(tiny_bundle, tmp_path):
    (found,) = score(tiny_bundle, tmp_path / "nowhere")

    assert found.error.code == "corrupt_scan"


def test_an_empty_folder_is_an_error(tiny_bundle, tmp_path):
    (found,) = score(tiny_bundle, tmp_path)

    assert found.error.code == "no_pixels"


def test_a_file_without_a_byte_is_an_error_and_not_passed_over(tiny_bundle, tmp_path):
    (tmp_path / "zero.dcm").touch()

    (found,) = score(tiny_bundle, tmp_path)

    assert found.error.code == "unknown_format"


def test_a_zip_in_a_folder_says_where_its_scans_lie(tiny_bundle, tmp_path):
    picture = write_picture(tmp_path / "plain.png", make_picture(1, 48))
    with zipfile.ZipFile(tmp_path / "inbox.zip", "w") as archive:
        archive.write(picture, "deep/one.png")
    picture.unlink()

    (found,) = score(tiny_bundle, tmp_path)

    assert found.path == f"{tmp_path}/inbox.zip:deep/one.png"
    assert found.verdict is not None


def test_the_slices_of_a_series_are_one_scan(tiny_bundle, tmp_path):
    planes = np.stack([make_picture(number, 48) for number in range(5)])
    series = write_dicom_series(tmp_path / "series", planes)

    (found,) = score(tiny_bundle, series)

    scan = decode_series(sorted(series.iterdir()), LIMITS)
    np.testing.assert_array_equal(scan.pixels, planes.astype(np.float32))
    assert found.sha256 == scan.sha256


def test_a_line_of_json_holds_plain_values_only(tiny_bundle, tmp_path):
    pixels = make_picture(1, 48)
    pixels[20:30, 20:30] = 255
    (tmp_path / "one.dcm").write_bytes(make_dicom(pixels, PixelSpacing=[0.5, 0.5]))

    (found,) = score(tiny_bundle, tmp_path / "one.dcm")

    line = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert line["bundle"] == read_bundle(tiny_bundle).digest
    assert line["regions"]
    for region in line["regions"]:
        assert region["area_mm2"] == pytest.approx(region["area_px"] / 4)
        row0, column0, row1, column1 = region["box"]
        assert row0 <= region["peak"][0] < row1
        assert column0 <= region["peak"][1] < column1


def test_a_decoder_that_dies_is_one_unread_scan(tiny_bundle, tmp_path):
    good = write_picture(tmp_path / "good.png", make_picture(1, 48))
    big = write_picture(tmp_path / "big.png", make_picture(1, 200))
    limits = DecodeLimits(max_slice_pixels=100 * 100)

    found = score(tiny_bundle, good, big, good, limits=limits)

    assert [each.error is None for each in found] == [True, False, True]
    assert found[1].error.code == "too_many_pixels"


@pytest.mark.parametrize(
    ("line", "expected"),
    [("a.png  typical", "a.png  typical"), ("\x1b[2Jx\n\x07", "?[2Jx??"), ("\u202efdp", "?fdp")],
)
def test_a_name_does_nothing_to_the_terminal(line, expected):
    assert make_printable(line) == expected
