"""`aegle settings`: what an operator can choose: in force, as a reference, as a file to fill."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from app.settings import FILE_VARIABLE, PREFIX, SECRETS_VARIABLE, Settings, read_settings

_WORDS = {"integer": "whole number", "number": "number", "boolean": "true or false", "path": "path"}
_HIDDEN = "(set, not shown)"
_INTRODUCTION = f"""\
# Settings of the service

Made by `aegle settings --form markdown`; do not edit by hand.

Each setting is read from the environment as `{PREFIX}` and its name in capitals (`{PREFIX}PORT`),
from a file of that name in small letters in the folder named by `{SECRETS_VARIABLE}`
(`aegle_database_password`), or from the TOML file named by `{FILE_VARIABLE}` (`port = 8080`). The
first that holds it wins, in this order. Lists and tables are JSON in the environment and in
secrets. A key that is not in this list is refused at start, wherever it stands.
`aegle settings --form toml` prints a file to fill; `aegle settings` shows what is in force.
"""
_TOML_INTRODUCTION = f"""\
# Settings of the service: a file to fill. Made by `aegle settings --form toml`.
# Name it by {FILE_VARIABLE}. Keep secrets in the folder named by {SECRETS_VARIABLE} instead.
"""


class Form(StrEnum):
    """How settings are printed."""

    PRESENT = "present"
    MARKDOWN = "markdown"
    TOML = "toml"


@dataclass(frozen=True, slots=True)
class SettingEntry:
    """One setting as the reference tells it."""

    name: str
    values: str
    default: object
    description: str | None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("settings")(show_settings)


def show_settings(
    form: Annotated[Form, typer.Option(help="What is printed.")] = Form.PRESENT,
) -> None:
    """Show the settings in force, or what can be set; `*` marks what is not the default.

    Examples:

        aegle settings

        aegle settings --form toml > aegle.toml
    """
    match form:
        case Form.PRESENT:
            typer.echo(write_present(read_settings()), nl=False)
        case Form.MARKDOWN:
            typer.echo(write_markdown(), nl=False)
        case Form.TOML:
            typer.echo(write_toml(), nl=False)


def write_present(settings: Settings) -> str:
    """Give a line a setting with its value in force; secrets are only told to be set."""
    lines = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        mark = " " if value == field.get_default(call_default_factory=True) else "*"
        lines.append(f"{mark} {name} = {_HIDDEN if isinstance(value, SecretStr) else value}\n")
    return "".join(lines)


def write_markdown() -> str:
    """Give the reference page."""
    rows = [
        f"| `{entry.name}` | {entry.values} | {_write_default(entry.default)} "
        f"| {entry.description} |\n"
        for entry in list_entries()
    ]
    head = "\n| setting | values | default | what it does |\n|---|---|---|---|\n"
    return _INTRODUCTION + head + "".join(rows)


def write_toml() -> str:
    """Give a TOML file that holds every setting as a comment, with its default."""
    parts = [
        f"\n# {entry.description}\n# {entry.name} = {_write_toml_value(entry)}\n"
        for entry in list_entries()
    ]
    return _TOML_INTRODUCTION + "".join(parts)


def list_entries() -> list[SettingEntry]:
    """Give all settings in the order of the code."""
    schema = Settings.model_json_schema()["properties"]
    return [
        SettingEntry(name, _describe_values(schema[name]), _find_default(field), field.description)
        for name, field in Settings.model_fields.items()
    ]


def _find_default(field: FieldInfo) -> object:
    """Give a default in the words of JSON."""
    return json.loads(json.dumps(field.get_default(call_default_factory=True), default=str))


def _describe_values(facts: dict[str, Any]) -> str:
    facts = next((each for each in facts.get("anyOf", ()) if each["type"] != "null"), {}) | facts
    if "enum" in facts:
        return ", ".join(f"`{value}`" for value in facts["enum"])
    if facts.get("format") == "password":
        return "secret"
    if facts["type"] == "array":
        return f"list of {_describe_values(facts['items'])}"
    if facts["type"] == "object":
        return f"table of {_describe_values(facts['additionalProperties'])}"
    return _WORDS.get(facts.get("format", facts["type"]), "text") + _describe_range(facts)


def _describe_range(facts: dict[str, Any]) -> str:
    low, high = facts.get("minimum"), facts.get("maximum")
    if low is None:
        return ""
    return f", {low:g} or more" if high is None else f", {low:g} to {high:g}"


def _write_default(value: object) -> str:
    return "not set" if value is None else f"`{json.dumps(value)}`"


def _write_toml_value(entry: SettingEntry) -> str:
    return "..." if entry.default is None else json.dumps(entry.default)
