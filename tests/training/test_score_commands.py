import json

import pytest
from typer.testing import CliRunner

from app.cli import build_cli
from models.errors import BundleNotFound
from tests.builders.cohorts import make_picture, write_picture
from training.recipe import list_recipes


def run(*words):
    return CliRunner().invoke(build_cli(), [str(word) for word in words])


@pytest.fixture
def picture(tmp_path):
    return write_picture(tmp_path / "scan.png", make_picture(1, 48))


def test_a_scan_is_one_line_with_its_verdict_and_numbers(tiny_bundle, picture):
    ended = run("score", tiny_bundle, picture)

    assert ended.exit_code == 0, ended.output
    (line,) = ended.output.splitlines()
    assert line.startswith(f"{picture}  ")
    assert all(word in line for word in ("score ", "p ", "threshold ", "regions "))


@pytest.mark.parametrize("as_json", [True, False])
def test_what_cannot_be_read_gives_status_2_and_the_others_their_lines(
    tiny_bundle, picture, tmp_path, as_json
):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")

    ended = run(
        "score", tiny_bundle, tmp_path / "broken.png", picture, *(["--json"] if as_json else [])
    )

    assert ended.exit_code == 2
    first, second = ended.output.splitlines()
    if as_json:
        assert json.loads(first)["error"]["code"]
        assert json.loads(second)["score"] is not None
    else:
        assert "unreadable" in first
        assert "score" in second


@pytest.mark.parametrize("as_json", [True, False])
def test_files_of_a_folder_that_are_no_scan_are_counted_and_named(tiny_bundle, picture, as_json):
    notes = picture.parent / "notes.txt"
    notes.write_text("text")

    ended = run("score", tiny_bundle, picture.parent, *(["--json"] if as_json else []))

    assert ended.exit_code == 0
    last = ended.output.splitlines()[-1]
    if as_json:
        assert json.loads(last) == {"passed_over": {"count": 1, "paths": [str(notes)]}}
    else:
        assert last == f"1 file was passed over as no scan: {notes}"


def test_a_name_with_markup_is_printed_as_it_is(tiny_bundle, tmp_path):
    path = write_picture(tmp_path / "[bold]x[/bold].png", make_picture(1, 48))

    assert "[bold]x[/bold].png" in run("score", tiny_bundle, path).output


def test_the_pictures_folder_is_made(tiny_bundle, picture, tmp_path):
    ended = run("score", tiny_bundle, picture, "--pictures", tmp_path / "deep/drawn")

    assert ended.exit_code == 0
    assert len(list((tmp_path / "deep/drawn").glob("*.png"))) == 1


def test_a_sound_bundle_is_verified(tiny_bundle):
    ended = run("bundle", "verify", tiny_bundle, tiny_bundle)

    assert ended.exit_code == 0
    assert ended.output.count("3 check scans reproduced") == 2


def test_a_bundle_that_is_none_stops_the_command(tmp_path):
    assert isinstance(run("bundle", "verify", tmp_path).exception, BundleNotFound)


def test_the_card_is_printed(tiny_bundle):
    assert run("bundle", "card", tiny_bundle).output.startswith("# tiny")


def test_every_recipe_is_listed():
    output = CliRunner().invoke(build_cli(), ["recipes"], env={"COLUMNS": "200"}).output

    assert all(recipe.name in output for recipe in list_recipes())
