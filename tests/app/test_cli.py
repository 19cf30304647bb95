import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from app import cli
from app.cli import PARTS, build_cli, main
from models.errors import InvalidRecipe
from tests.builders.command_line import list_commands, make_environment, run_aegle

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


@pytest.mark.parametrize("name", [name for part in PARTS for name in part.helps])
def test_the_list_of_commands_tells_what_each_says_of_itself(name):
    listed = typer.main.get_command(build_cli()).commands[name]

    told = listed._load().help.split("\n\n")[0]

    assert listed.help == " ".join(told.split())


@pytest.mark.parametrize("words", [(), ("keys",), ("keys", "create"), ("push",)], ids=" ".join)
def test_help_does_not_wait_for_torch(tmp_path, words):
    script = (
        "import sys\nfrom app.cli import build_cli\n"
        "try:\n    build_cli()(sys.argv[1:])\n"
        "finally:\n    assert not {'torch', 'app.main'} & sys.modules.keys()\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script, *words, "--help"],
        cwd=tmp_path,
        env=make_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert "Usage:" in ended.stdout


@pytest.mark.parametrize("command", ["serve", "listen"])
def test_commands_that_run_for_months_load_neither_torch_nor_training(command):
    script = (
        "import sys\nfrom app.cli import build_cli\n"
        f"try:\n    build_cli()(['{command}', '--help'])\n"
        "finally:\n    assert not {'torch', 'training'} & sys.modules.keys()\n"
    )

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)

    assert ended.returncode == 0, ended.stderr


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
