"""The one command line: it registers the commands of each part and turns errors into a line."""

import os
import sys

import typer

from app import listener, serve, settings_command
from app.audit import commands as audit_commands
from app.auth import commands as access_commands
from app.client import push_command, rescore_command
from app.demonstration import serve_demo
from app.dicom import dicomweb_command
from app.storage import commands as storage_commands
from models.errors import AegleError
from models.memory import keep_freed_memory
from training import (
    decode_command,
    demo_command,
    describe_commands,
    duplicates_command,
    evaluate_command,
    evidence_command,
    operate_command,
    score_commands,
    train_commands,
)

# In the order of the help.
PARTS = (
    train_commands,
    evaluate_command,
    evidence_command,
    operate_command,
    score_commands,
    describe_commands,
    duplicates_command,
    decode_command,
    serve,
    listener,
    settings_command,
    push_command,
    rescore_command,
    storage_commands,
    access_commands,
    audit_commands,
    dicomweb_command,
)
USAGE_STATUS = 2
INTERRUPTED_STATUS = 130


def build_cli() -> typer.Typer:
    """Give the command line with all commands."""
    cli = typer.Typer(
        name="aegle",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        help="Learns what healthy scans look like and flags those that do not look like it.",
    )
    demo_command.register(cli, serve_demo)
    for part in PARTS:
        part.register(cli)
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


if __name__ == "__main__":
    main()
