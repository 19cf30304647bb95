import inspect

import pytest

import app.dicom.errors
import app.errors
from app.errors import ServiceError
from models.errors import AegleError

MODULES = (app.errors, app.dicom.errors)
ERRORS = [
    value
    for module in MODULES
    for value in vars(module).values()
    if inspect.isclass(value)
    and issubclass(value, ServiceError)
    and value.__module__ == module.__name__
]


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_stands_in_the_drawn_tree_with_its_status(error):
    tree = inspect.getmodule(error).__doc__ or ""

    assert error.__name__ in tree
    assert 400 <= error.status < 600


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_has_a_message_and_is_an_error_of_ours(error):
    assert str(error()) == error.__doc__
    assert isinstance(error(), AegleError)


def test_code_words_are_unique():
    codes = [error().code for error in ERRORS]

    assert len(set(codes)) == len(codes)
