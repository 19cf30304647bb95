import subprocess

import pytest
from typer.testing import CliRunner

from app import cli
from app.cli import build_cli, main
from models.errors import InvalidRecipe
from tests.builders.command_line import list_commands, run_aegle

COMMANDS = list_commands()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_shows_an_example(words):
    shown = CliRunner().invoke(build_cli(), [*words, "--help"], env={"COLUMNS": "200"})

    assert shown.exit_code == 0
    assert "Examples:" in shown.output
    assert f"aegle {' '.join(words)}" in shown.output


@pytest.mark.parametrize(
    "name",
    ["train", "evaluate", "score", "describe", "sample", "recipes", "bundle verify", "demo"],
)
def test_every_promised_command_is_there(name):
    assert tuple(name.split()) in COMMANDS


def run_main(monkeypatch, error):
    """Run the entry point with a command line that raises."""

    def fail():
        raise error

    monkeypatch.setattr(cli, "build_cli", lambda: fail)
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InvalidRecipe("no such recipe"), "aegle: invalid_recipe: no such recipe"),
        (FileNotFoundError(2, "No such file or directory", "cohort.csv"),
         "aegle: cohort.csv: No such file or directory"),
        (PermissionError(13, "Permission denied"), "aegle: Permission denied"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_and_status_2(monkeypatch, capsys, error, line):
    assert run_main(monkeypatch, error) == 2
    assert capsys.readouterr().err.strip() == line


def test_an_interrupt_ends_quietly(monkeypatch, capsys):
    assert run_main(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "word"),
    [
        (["train", "nowhere", "--out", "out"], "aegle: invalid_cohort"),
        (["score", "nowhere", "scan.png"], "aegle: bundle_not_found"),
    ],
)
def test_a_command_that_cannot_start_says_why_in_one_line(tmp_path, words, word):
    ended: subprocess.CompletedProcess[str] = run_aegle(*words, cwd=tmp_path)

    assert ended.returncode == 2
    assert ended.stderr.startswith(word)
    assert len(ended.stderr.splitlines()) == 1
