"""The command line in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from app.cli import build_cli

ROOT = Path(__file__).parents[2]


def make_environment() -> dict[str, str]:
    """Give the environment of a command: one thread, wide terminal, no colours."""
    fixed = {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    return {name: value for name, value in os.environ.items() if name != "RANK"} | fixed


def make_command(*arguments: object) -> list[str]:
    """Give the words of a command."""
    return [sys.executable, "-m", "app.cli", *(str(each) for each in arguments)]


def run_aegle(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        make_command(*arguments),
        cwd=cwd,
        env=make_environment(),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def list_commands() -> list[tuple[str, ...]]:
    """Give the words of every command: `("bundle", "verify")`."""
    return sorted(_walk(typer.main.get_command(build_cli()), ()))


def _walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield words
        return
    for name, child in children.items():
        yield from _walk(child, (*words, name))
