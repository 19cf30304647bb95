"""The page for those who run the service is in step with the code."""

import re
from pathlib import Path

import pytest

import app.errors
import models.errors
from app.error_handlers import find_status
from app.health import metrics
from app.settings import Settings
from models.errors import AegleError
from tests.builders.command_line import list_commands

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "app" / "OPERATIONS.md").read_text()
ERRORS = [
    error
    for module in (app.errors, models.errors)
    for error in (
        kind()
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, AegleError) and not kind.__subclasses__()
    )
    if module is app.errors or find_status(error) != 500
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_every_error_word_is_told_with_its_status(error):
    assert f"| `{error.code}` | {find_status(error)} |" in PAGE


def test_every_metric_is_told_and_no_other():
    source = Path(metrics.__file__).read_text()

    told = set(re.findall(r"`(aegle_[a-z_]+)`", PAGE))
    assert told == set(re.findall(r'"(aegle_[a-z_]+)"', source))


def test_every_command_that_is_told_exists():
    known = {words[0] for words in list_commands()}

    told = re.findall(r"`(?:AEGLE_\S+ )?aegle (\w+)|^aegle (\w+)", PAGE, flags=re.MULTILINE)
    assert {first or second for first, second in told} <= known


def test_every_setting_that_is_told_exists():
    known = {f"AEGLE_{name.upper()}" for name in Settings.model_fields}

    assert set(re.findall(r"AEGLE_[A-Z_]+", PAGE)) <= known
