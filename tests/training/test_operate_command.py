import json

import pytest
import typer

from models.bundle.read import read_bundle
from tests.builders.command_line import run_aegle
from training.operate_command import parse_rule


@pytest.mark.parametrize("text", ["youden", "f1", "target_sensitivity:0.9", "cost:10:1:0.1"])
def test_a_rule_is_read_by_its_name_and_numbers(text):
    assert parse_rule(text).rule == text.split(":", maxsplit=1)[0]


@pytest.mark.parametrize("text", ["best", "youden:1", "target_sensitivity", "cost:a:b:c"])
def test_a_rule_that_is_not_there_is_refused(text):
    with pytest.raises(typer.BadParameter):
        parse_rule(text)


def test_an_operating_point_becomes_a_bundle_of_its_own(tiny_bundle, tiny_cohort, tmp_path):
    out = tmp_path / "operated"

    words = ("operate", tiny_bundle, tiny_cohort, "--rule", "youden", "--out", out)
    done = run_aegle(*words, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    before, after = read_bundle(tiny_bundle), read_bundle(out)
    assert after.calibrations.slice.promise.kind == "labelled"
    assert after.calibrations.slice.scores == before.calibrations.slice.scores
    assert after.digest != before.digest
    assert after.card.count("## Operating point") == 1
    assert "No false alarm rate is promised" in after.card
    assert json.loads((out / "check.json").read_text())["scans"]
