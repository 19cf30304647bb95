"""The reference of the settings is in step with the code."""

from pathlib import Path

import pytest

from app.settings_command import write_markdown, write_toml

APP = Path(__file__).parents[2] / "app"


@pytest.mark.parametrize(
    ("name", "form", "write"),
    [
        ("SETTINGS.md", "markdown", write_markdown),
        ("settings.example.toml", "toml", write_toml),
    ],
)
def test_the_reference_of_settings_is_in_step(name, form, write):
    kept = (APP / name).read_text()

    assert kept == write(), f"make it anew: aegle settings --form {form} > app/{name}"
