import time

import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from app.auth.passwords import Passwords, is_common
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


COMMON = [
    "passwordpassword",
    "Passw0rdPassw0rd",
    "P@ssw0rdP@ssw0rd",
    "password1234567",
    "Password123456!",
    "1qaz2wsx3edc4rfv",
    "qwertyuiop123456",
    "123456789012345",
    "iloveyouforever",
    "administrator1234!",
    "monkeydragon2024",
    "adminadminadmin",
    "letmeinletmein1",
    "aegle-aegle-aegle",
    "christopher12345",
    "changemechangeme",
    "representatives",
    "football.baseball",
]


@pytest.mark.parametrize("password", COMMON)
def test_a_password_of_common_ones_is_refused(passwords, password):
    with pytest.raises(WeakPassword):
        passwords.hash(password)


def test_every_common_password_written_twice_is_refused():
    frequent = [word for word in FREQUENCY_LISTS["passwords"] if len(word) >= 8]

    passing = [word for word in frequent if not is_common(word * 2)]

    assert len(frequent) > 3000
    assert passing == []


@pytest.mark.parametrize(
    "password",
    [
        GOOD,
        "correct-horse-battery-staple",
        "thequickbrownfox",
        "Xq7 vT2 mK9 pL4",
        "ein Satz mit Wörtern",
    ],
)
def test_passwords_of_several_words_are_taken(passwords, password):
    assert passwords.verify(passwords.hash(password), password)


@pytest.mark.parametrize("unit", ["4@8({[<3691!|70$5+7%2", "a" * 127 + "b", "ab", "12345"])
def test_a_crafted_password_of_full_length_is_looked_at_at_once(unit):
    password = (unit * 256)[:256]
    began = time.monotonic()

    is_common(password)

    assert time.monotonic() - began < 1
