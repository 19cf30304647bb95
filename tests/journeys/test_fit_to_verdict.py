"""From a cohort to verdicts by the command line alone."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.builders.bundles import TINY_RECIPE
from tests.builders.command_line import run_aegle
from tests.builders.evaluations import draw_scan, write_lesion_cohort
from tests.builders.scans import make_dicom, write_dicom_series

pytestmark = pytest.mark.slow

SCORE_KEYS = [
    "path", "sha256", "score", "p_value", "verdict", "reason", "threshold", "regions", "bundle",
]  # fmt: skip
REGION_KEYS = {"slice_index", "box", "area_px", "area_mm2", "peak", "peak_value"}
EVALUATION_KEYS = [
    "image.auroc", "image.auroc_ci", "image.ap", "image.sensitivity_at_95_specificity",
    "pixel.ap", "pixel.ap_abnormal", "pixel.best_dice", "pixel.aupro",
    "false_alarm.promised", "false_alarm.realised", "n", "seconds_per_scan", "bundle.digest",
    "windows.position.auroc",
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a cohort, a recipe, and what came of `aegle train`."""
    folder = tmp_path_factory.mktemp("journey")
    write_lesion_cohort(folder / "cohort", has_series=False)
    (folder / "tiny.toml").write_text(TINY_RECIPE)
    trained = run_aegle(
        "train", "cohort", "--recipe", "tiny.toml", "--out", "out/tiny", "--work", "work",
        cwd=folder,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stdout + trained.stderr
    assert "digest" in trained.stdout
    return folder


@pytest.fixture(scope="module")
def inbox(place) -> Path:
    """Files of every kind, one of them broken."""
    folder = place / "inbox"
    (folder / "pictures").mkdir(parents=True)
    for seed in range(2):
        Image.fromarray(draw_scan(seed, has_lesion=False)).save(folder / f"pictures/{seed}.png")
    Image.fromarray(draw_scan(9, has_lesion=True)).save(folder / "lesion.png")
    (folder / "one.dcm").write_bytes(make_dicom(draw_scan(3, has_lesion=False), Modality="DX"))
    (folder / "broken.png").write_bytes((folder / "lesion.png").read_bytes()[:200])
    planes = np.stack([draw_scan(seed, has_lesion=False) for seed in range(4)])
    write_dicom_series(folder / "series", planes)
    with zipfile.ZipFile(folder / "study.zip", "w") as archive:
        for path in sorted((folder / "series").iterdir()):
            archive.write(path, f"inside/{path.name}")
    return folder


@pytest.fixture(scope="module")
def lines(place, inbox) -> dict[str, dict]:
    """The lines of `aegle score --json` for the whole inbox, by path."""
    paths = ["lesion.png", "one.dcm", "broken.png", "pictures", "series", "study.zip"]
    ended = run_aegle(
        "score", "out/tiny", *(f"{inbox.name}/{name}" for name in paths), "missing.png",
        "--json", "--pictures", "drawn", cwd=place,
    )  # fmt: skip
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    return {line["path"]: line for line in found}


def test_the_published_bundle_is_sound(place):
    ended = run_aegle("bundle", "verify", "out/tiny", cwd=place)

    assert ended.returncode == 0, ended.stderr
    assert "3 check scans reproduced" in ended.stdout


def test_every_scan_has_a_line_and_the_broken_ones_too(lines):
    paths = list(lines)

    assert paths[:5] == [
        "inbox/lesion.png", "inbox/one.dcm", "inbox/broken.png",
        "inbox/pictures/0.png", "inbox/pictures/1.png",
    ]  # fmt: skip
    assert paths[5].startswith("inbox/series/")
    assert paths[5].endswith(".dcm (+3 slices)")
    assert paths[6].startswith("inbox/study.zip:inside/")
    assert paths[7] == "missing.png"
    assert len(paths) == 8


def test_a_line_has_the_keys_that_are_promised_in_their_order(lines):
    read = [line for line in lines.values() if "error" not in line]

    assert len(read) == 6
    for line in read:
        assert list(line) == SCORE_KEYS
        assert len(line["sha256"]) == 64
        assert line["verdict"] in {"typical", "anomalous", "indeterminate"}
        assert bool(line["reason"]) == (line["verdict"] == "indeterminate")
        assert all(set(region) == REGION_KEYS for region in line["regions"])


@pytest.mark.parametrize("path", ["inbox/broken.png", "missing.png"])
def test_what_could_not_be_read_says_why(lines, path):
    assert set(lines[path]) == {"path", "error"}
    assert lines[path]["error"]["code"] == "corrupt_scan"
    assert lines[path]["error"]["text"]


def test_a_folder_and_a_zip_of_one_series_are_one_volume_with_one_score(lines):
    series, study = (line for path, line in lines.items() if "series" in path or "study" in path)

    assert series["sha256"] == study["sha256"]
    assert series["score"] == pytest.approx(study["score"], abs=1e-6)
    assert series["verdict"] == "indeterminate"


def test_a_kind_that_was_not_trained_on_is_indeterminate(lines):
    assert lines["inbox/one.dcm"]["verdict"] == "indeterminate"
    assert "DX" in lines["inbox/one.dcm"]["reason"]


def test_each_scan_that_was_read_has_its_picture(place, lines):
    read = [line for line in lines.values() if "error" not in line]
    names = {f"{line['sha256'][:16]}-{line['verdict']}.png" for line in read}

    assert {path.name for path in (place / "drawn").iterdir()} == names
    picture = np.asarray(Image.open(place / "drawn" / min(names)))
    assert picture.shape == (48, 3 * 48 + 8, 3)


def test_readable_scans_alone_end_well_and_print_a_line_each(place, inbox):
    ended = run_aegle("score", "out/tiny", inbox / "lesion.png", inbox / "pictures", cwd=place)

    assert ended.returncode == 0, ended.stderr
    words = [line.split() for line in ended.stdout.splitlines()]
    assert len(words) == 3
    assert words[0][0].endswith("inbox/lesion.png")
    assert {line[1] for line in words} <= {"typical", "anomalous", "indeterminate"}


def test_evaluation_gives_every_number_that_is_promised(place):
    ended = run_aegle(
        "evaluate", "out/tiny", "cohort", "--json", "numbers/all.json", "--report", "report",
        "--window", "position:0.2:0.8", "--resamples", "20", cwd=place,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stdout + ended.stderr
    numbers = json.loads((place / "numbers/all.json").read_text())
    for key in EVALUATION_KEYS:
        value = numbers
        for part in key.split("."):
            value = value[part] if part in value else next(iter(value.values()))
        assert value is not None, key
    assert numbers["n"] == 24
    baselines = numbers["baselines"]
    assert len(baselines) >= 7
    assert all(each["auroc"] is not None for each in baselines.values())
    assert any(each["pixel_ap_abnormal"] is not None for each in baselines.values())
    page = (place / "report/report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    card = (place / "out/tiny/card.md").read_text()
    assert "no test split" not in card
    assert "AUROC" in card
