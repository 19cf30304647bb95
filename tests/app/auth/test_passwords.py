import pytest

from app.auth.passwords import Passwords
from app.errors import WeakPassword

GOOD = "correct horse battery"


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords(memory_kib=8, time_cost=1)


def test_only_the_right_password_is_right(passwords):
    stored = passwords.hash(GOOD)

    assert passwords.verify(stored, GOOD)
    assert not passwords.verify(stored, GOOD + "x")
    assert not passwords.verify(None, GOOD)


def test_a_hash_is_argon2id_and_salted(passwords):
    assert passwords.hash(GOOD).startswith("$argon2id$")
    assert passwords.hash(GOOD) != passwords.hash(GOOD)


@pytest.mark.parametrize("password", ["", "short", "x" * 14, "a" * 40, "ab" * 20, "é1" * 200])
def test_weak_passwords_are_refused(passwords, password):
    with pytest.raises(WeakPassword):
        passwords.hash(password)
