"""What the table of threats and the security page point at is there."""

import ast
import re
from pathlib import Path

import pytest

from tests.contracts.threats import THREATS
from tests.stress.__main__ import ROWS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "app/SECURITY.md").read_text()
TESTS = sorted({name for threat in THREATS for name in threat.tests})
# ASVS 5.0.0, level 1, whole.
LEVEL_1 = re.findall(
    r"[0-9.]+",
    """
    1.2.1 1.2.2 1.2.3 1.2.4 1.2.5 1.3.1 1.3.2 1.5.1 2.1.1 2.2.1 2.2.2 2.3.1 3.2.1 3.2.2 3.3.1 3.4.1
    3.4.2 3.5.1 3.5.2 3.5.3 4.1.1 4.4.1 5.2.1 5.2.2 5.3.1 5.3.2 6.1.1 6.2.1 6.2.2 6.2.3 6.2.4 6.2.5
    6.2.6 6.2.7 6.2.8 6.3.1 6.3.2 6.4.1 6.4.2 7.2.1 7.2.2 7.2.3 7.2.4 7.4.1 7.4.2 8.1.1 8.2.1 8.2.2
    8.3.1 9.1.1 9.1.2 9.1.3 9.2.1 10.4.1 10.4.2 10.4.3 10.4.4 10.4.5 11.3.1 11.3.2 11.4.1 12.1.1
    12.2.1 12.2.2 13.4.1 14.2.1 14.3.1 15.1.1 15.2.1 15.3.1
""",
)


def list_functions(path):
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", TESTS)
def test_a_test_that_a_threat_names_is_there(name):
    path, _, function = name.partition("::")

    assert function in list_functions(ROOT / "tests" / path)


def test_every_long_row_belongs_to_a_threat():
    named = {name for threat in THREATS for name in threat.row.split(", ") if name}

    assert named == {row.name for row in ROWS}


@pytest.mark.parametrize("number", LEVEL_1)
def test_the_page_tells_of_every_requirement_of_level_1(number):
    assert f"| {number} |" in PAGE


def test_what_the_page_points_at_is_there():
    code = set(re.findall(r"`((?:app|models)/[\w/]+\.py)`", PAGE))
    tests = set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE))

    assert [name for name in sorted(code) if not (ROOT / name).is_file()] == []
    assert [
        (name, function)
        for name, function in sorted(tests)
        if not (ROOT / name).is_file() or (function and function not in list_functions(ROOT / name))
    ] == []
