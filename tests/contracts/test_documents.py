"""Every command, recipe, setting of a folder and error is told of where people look."""

from pathlib import Path

import pytest

from models import errors
from tests.builders.command_line import list_commands
from training.recipe import list_recipes

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
LEAVES = [
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.AegleError)
]


@pytest.mark.parametrize("words", list_commands(), ids=" ".join)
def test_the_readme_tells_of_every_command(words):
    assert f"aegle {' '.join(words)}" in README


@pytest.mark.parametrize("recipe", list_recipes(), ids=lambda recipe: recipe.name)
def test_the_readme_tells_of_every_recipe(recipe):
    assert f"`{recipe.name}`" in README


@pytest.mark.parametrize("target", ["demo", "test", "check", "bench", "stress"])
def test_the_readme_tells_of_every_make_target_for_people(target):
    assert f"make {target}" in README


@pytest.mark.parametrize("folder", ["app", "models", "training"])
def test_each_folder_has_a_map(folder):
    text = (ROOT / folder / "README.md").read_text()

    children = {
        path.name
        for path in (ROOT / folder).iterdir()
        if path.is_dir() and (path / "__init__.py").is_file()
    }
    assert [name for name in sorted(children) if f"{name}/" not in text] == []


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_error_is_drawn_in_the_tree_and_has_a_message(leaf):
    assert f"{leaf} " in errors.__doc__ or f"{leaf}\n" in errors.__doc__
    assert str(getattr(errors, leaf)())


def test_codes_are_snake_case_and_differ():
    codes = [getattr(errors, leaf)().code for leaf in LEAVES]

    assert len(set(codes)) == len(codes)
    assert errors.UnknownFormat().code == "unknown_format"
