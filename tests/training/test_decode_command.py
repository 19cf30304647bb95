"""`aegle decode`: one table of what can be decoded, and whether others agree."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from tests.builders.dicom import read_bundled
from tests.builders.pictures import encode_picture
from training.decode_command import register
from training.decode_report import FileOutcome, summarize_outcomes


def run(*arguments: str) -> Result:
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "TERM": "dumb"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name in ("MR_small.dcm", "MR_small_RLE.dcm", "MR_truncated.dcm", "rtplan.dcm"):
        (folder / name).write_bytes(read_bundled(name))
    (folder / "eye.png").write_bytes(encode_picture(np.eye(8, dtype=np.uint8), "PNG"))
    (folder / "readme.txt").write_text("no scan")
    return folder


def test_the_table_counts_outcomes_by_encoding(folder: Path) -> None:
    result = run(str(folder), "--table")

    assert result.exit_code == 0
    assert "6 files, 3 decoded" in result.stdout
    assert "RLE Lossless" in result.stdout
    assert "corrupt_scan 1" in result.stdout


def test_refused_files_are_named_without_table(folder: Path) -> None:
    result = run(str(folder))

    assert f"{folder / 'rtplan.dcm'}  refused  no_pixels" in result.stdout


def test_json_tells_of_each_file(folder: Path) -> None:
    result = run(str(folder / "MR_small.dcm"), str(folder / "readme.txt"), "--json")

    files = json.loads(result.stdout)["files"]
    assert [file["error"] for file in files] == [None, "unknown_format"]
    assert files[0]["peak_bytes"] > 0


@pytest.mark.skipif(not shutil.which("dcmdrle"), reason="DCMTK is not installed")
def test_stored_values_equal_those_of_others(folder: Path) -> None:
    result = run(str(folder / "MR_small_RLE.dcm"), "--compare", "--json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["encodings"][0]["equal"] == 1


def test_the_slowest_and_the_largest_are_kept() -> None:
    outcomes = [
        FileOutcome("a", "PNG", None, 0.5, 10, None),
        FileOutcome("b", "PNG", "corrupt_scan", 0.1, 30, "differs"),
    ]

    (summary,) = summarize_outcomes(outcomes)

    assert (summary.files, summary.decoded, summary.differs) == (2, 1, 1)
    assert (summary.slowest_s, summary.peak_bytes) == (0.5, 30)
    assert summary.refused == {"corrupt_scan": 1}
