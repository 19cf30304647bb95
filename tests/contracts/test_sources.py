"""How the sources look: sizes, empty packages, forbidden names, nothing of one machine."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "models", "training")
SOURCES = sorted(path for name in (*PACKAGES, "tests") for path in (ROOT / name).rglob("*.py"))
SHIPPED = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in PACKAGES]
TEXTS = [
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), ROOT / "Makefile", *SOURCES]
    if path != Path(__file__)
]

MAXIMUM_FILE_LINES = 400
MAXIMUM_FUNCTION_LINES = 60
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "core", "base", "manager", "types"}
# Drawn while a test module is imported, they would name its tests differently in each worker.
RANDOM_NAMES = {"uuid4", "uuid7", "urandom", "token_hex", "token_bytes", "token_urlsafe"}
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|home|root|Users|mnt)/")


def list_offenders(paths, offends):
    return [str(path.relative_to(ROOT)) for path in paths if offends(path)]


def count_code_lines(function):
    """Count the lines of a body without its docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def find_long_functions(path):
    return [
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and count_code_lines(node) > MAXIMUM_FUNCTION_LINES
    ]


def test_no_file_is_longer_than_the_limit():
    def is_long(path):
        return len(path.read_text().splitlines()) > MAXIMUM_FILE_LINES

    assert list_offenders(SOURCES, is_long) == []


def test_no_function_is_longer_than_the_limit():
    assert list_offenders(SHIPPED, find_long_functions) == []


def test_every_package_file_is_empty():
    packages = [path for path in SOURCES if path.name == "__init__.py"]

    assert list_offenders(packages, Path.read_text) == []


def test_no_module_has_a_name_that_says_nothing():
    assert (
        list_offenders(SHIPPED, lambda path: {path.stem, path.parent.name} & FORBIDDEN_NAMES) == []
    )


def test_every_module_says_its_place_first():
    modules = [path for path in SHIPPED if path.name != "__init__.py"]

    assert list_offenders(modules, lambda p: not ast.get_docstring(ast.parse(p.read_text()))) == []


def test_no_text_names_a_place_of_one_machine():
    assert list_offenders(TEXTS, lambda path: MACHINE_PATHS.search(path.read_text())) == []


def draws_at_import(path):
    """Tell whether a module draws anything by chance when it is imported."""
    return any(
        isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in RANDOM_NAMES
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for node in ast.walk(statement)
    )


def test_parallel_workers_collect_equal_tests():
    tests = [path for path in SOURCES if path.name.startswith("test_")]

    assert list_offenders(tests, draws_at_import) == []
