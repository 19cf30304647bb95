import tomllib

import pytest
from typer.testing import CliRunner

from app.cli import build_cli
from app.settings import Settings
from app.settings_command import list_entries, write_toml


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in (*Settings.model_fields, "settings_file", "secrets_folder"):
        monkeypatch.delenv(f"AEGLE_{name.upper()}", raising=False)


def test_settings_in_force_are_shown_with_a_mark_and_without_secrets(monkeypatch):
    monkeypatch.setenv("AEGLE_PORT", "9000")
    monkeypatch.setenv("AEGLE_S3_SECRET_KEY", "hunter2")

    lines = CliRunner().invoke(build_cli(), ["settings"]).output.splitlines()

    assert "* port = 9000" in lines
    assert "  host = 127.0.0.1" in lines
    assert "* s3_secret_key = (set, not shown)" in lines


def test_the_file_to_fill_holds_every_default_as_valid_toml():
    lines = write_toml().splitlines()
    assignments = [line[2:] for line in lines if " = " in line and not line.endswith("...")]

    values = tomllib.loads("\n".join(assignments).replace("{}", "{ }"))

    assert Settings(**values) == Settings()
    assert set(values) == {entry.name for entry in list_entries() if entry.default is not None}


@pytest.mark.parametrize("entry", list_entries(), ids=lambda entry: entry.name)
def test_every_setting_says_what_it_takes_and_what_it_does(entry):
    assert entry.values
    assert entry.description.endswith(".")
