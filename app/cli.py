"""The one command line: it names the commands of each part and turns errors into a line.

A part is imported when one of its commands is run, so that none waits for what it does not use.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from models.errors import AegleError
from models.memory import keep_freed_memory

USAGE_STATUS = 2
INTERRUPTED_STATUS = 130


@dataclass(frozen=True, slots=True)
class Part:
    """A module with a function `register`, and the first line of help of each of its commands.

    `given` names what the function takes beside the command line, as module and attribute.
    """

    module: str
    helps: Mapping[str, str]
    given: tuple[str, str] | None = None


# In the order of the help.
PARTS = (
    Part(
        "training.demo_command",
        {
            "demo": "Train on an embedded cohort of synthetic heads, evaluate, and draw what was"
            " found."
        },
        given=("app.demonstration", "serve_demo"),
    ),
    Part(
        "training.train_commands",
        {
            "train": "Train on healthy scans, calibrate, and publish a bundle.",
            "recipes": "List the published recipes.",
        },
    ),
    Part(
        "training.evaluate_command",
        {"evaluate": "Measure a bundle on the test split, beside all baselines."},
    ),
    Part(
        "training.evidence_command",
        {"evidence": "Train and measure every method on every cohort, and write the page."},
    ),
    Part(
        "training.operate_command",
        {"operate": "Choose the threshold on labelled scans and publish it as a new bundle."},
    ),
    Part(
        "training.score_commands",
        {"score": "Say how unusual scans are.", "bundle": "Look at bundles."},
    ),
    Part(
        "training.describe_commands",
        {
            "describe": "Print the layers of a network, their shapes, its parameters and"
            " operations.",
            "sample": "Draw pictures that a variational autoencoder takes for healthy scans.",
        },
    ),
    Part(
        "training.duplicates_command",
        {
            "duplicates": "Find equal files and pictures that look the same, within and across"
            " splits."
        },
    ),
    Part(
        "training.decode_command",
        {
            "decode": "Decode files one by one in a bounded child process, and say what became of"
            " them."
        },
    ),
    Part(
        "app.serve",
        {
            "serve": "Run the service; settings come from AEGLE_... and the file named by"
            " AEGLE_SETTINGS_FILE."
        },
    ),
    Part(
        "app.listener",
        {"listen": "Take scans in by C-STORE from the callers that AEGLE_DICOM_CALLERS names."},
    ),
    Part(
        "app.settings_command",
        {
            "settings": "Show the settings in force, or what can be set; `*` marks what is not the"
            " default."
        },
    ),
    Part(
        "app.client.push_command",
        {
            "push": "Send scans to a running service; the key comes from AEGLE_API_KEY or"
            " AEGLE_API_KEY_FILE."
        },
    ),
    Part(
        "app.client.rescore_command",
        {
            "rescore": "Score stored cases again under a bundle; the key comes from the"
            " environment, as of push."
        },
    ),
    Part(
        "app.storage.commands",
        {
            "migrate": "Bring the database to the schema of this release; refused when it is"
            " newer.",
            "backup": "Copy database, blobs and bundles to a folder, while the service runs or"
            " not.",
            "store": "Look after the stored bytes.",
        },
    ),
    Part("app.auth.commands", {"keys": "API keys of tools."}),
    Part("app.audit.commands", {"audit": "Look after the audit trail."}),
    Part("app.dicom.dicomweb_command", {"dicomweb": "DICOMweb servers, from outside."}),
)


class NamedCommand(TyperCommand):
    """A command of which only name and help are known until it is run."""

    def __init__(self, name: str, part: Part) -> None:
        super().__init__(name=name, help=part.helps[name], rich_markup_mode="markdown")
        self._load = partial(_load_command, name, part)

    @property
    def commands(self) -> Mapping[str, Any] | None:
        """The commands of a group; None where it is none."""
        return getattr(self._load(), "commands", None)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: Any = None,  # noqa: ANN401 - its type is private
        **extra: Any,  # noqa: ANN401 - passed on
    ) -> Any:  # noqa: ANN401 - its type is private
        """Import the command, and begin with it in place of this one."""
        return self._load().make_context(info_name, args, parent, **extra)


class NamedCommands(TyperGroup):
    """The commands of all parts, none of which is imported yet."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(**attributes)
        for part in PARTS:
            for name in part.helps:
                self.add_command(NamedCommand(name, part))


def build_cli() -> typer.Typer:
    """Give the command line with all commands."""
    cli = _open_cli(NamedCommands)
    cli.callback()(_begin)
    return cli


def main() -> None:
    """Run the command line; errors become one line, never a traceback."""
    keep_freed_memory()
    try:
        build_cli()()
    except AegleError as error:
        typer.secho(f"aegle: {error.code}: {error}", err=True, fg=typer.colors.RED)
        sys.exit(USAGE_STATUS)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        place = f"{error.filename}: " if error.filename else ""
        typer.secho(f"aegle: {place}{reason}", err=True, fg=typer.colors.RED)
        sys.exit(USAGE_STATUS)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_STATUS)


def _open_cli(group: type[TyperGroup]) -> typer.Typer:
    return typer.Typer(
        name="aegle",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        help="Learns what healthy scans look like and flags those that do not look like it.",
        cls=group,
    )


def _load_command(name: str, part: Part) -> TyperCommand | TyperGroup:
    """Import a part, and give one of its commands."""
    given = []
    if part.given is not None:
        module, attribute = part.given
        given.append(getattr(import_module(module), attribute))
    cli = _open_cli(TyperGroup)
    cli.callback()(_begin)
    import_module(part.module).register(cli, *given)
    group: Any = typer.main.get_command(cli)
    found: TyperCommand | TyperGroup = group.commands[name]
    return found


def _begin() -> None:
    """Do nothing: a command line with a beginning has commands, also where it has one alone."""


if __name__ == "__main__":
    main()
