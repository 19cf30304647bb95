"""Passwords of local administrators: argon2id, and what a password must be (ASVS 5.0, 6.2)."""

import re
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from app.errors import WeakPassword

MIN_LENGTH = 15
MAX_LENGTH = 256
_MIN_DIFFERENT = 6
_OWN_WORDS = frozenset({"aegle"})
_BETWEEN_WORDS = re.compile(r"[\s.,:;_!?-]")
_LAST_NUMBER = re.compile(r"\d{1,4}$")
_SPELLING = str.maketrans("@4831!0$57", "aabeiiosst")


class Passwords:
    """Hashes and verifies passwords with one set of costs."""

    def __init__(self, memory_kib: int, time_cost: int) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        self._decoy = self._hasher.hash("a password that nobody has")

    def hash(self, password: str) -> str:
        """Hash a new password.

        Raises:
            WeakPassword: it is too short, too long, a repetition or common.
        """
        is_long_enough = MIN_LENGTH <= len(password) <= MAX_LENGTH
        if not is_long_enough or len(set(password)) < _MIN_DIFFERENT or is_common(password):
            raise WeakPassword
        return self._hasher.hash(password)

    def verify(self, stored: str | None, password: str) -> bool:
        """Compare a password with its hash; takes as long when there is none to compare with."""
        try:
            self._hasher.verify(stored or self._decoy, password[: MAX_LENGTH + 1])
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None


def is_common(password: str) -> bool:
    """Tell whether a password is a repetition, or one or two common passwords or words.

    Case, usual spellings by digits, what stands between words and a last number of up to four
    digits change nothing.
    """
    text = _BETWEEN_WORDS.sub("", password.casefold())
    is_repetition = len(_find_unit(text)) < min(len(text), MIN_LENGTH)
    return is_repetition or _is_pair(text) or _is_pair(_LAST_NUMBER.sub("", text))


def _is_pair(text: str) -> bool:
    return any(_is_known(text[:cut]) and _is_known(text[cut:]) for cut in range(1, len(text) + 1))


def _is_known(piece: str) -> bool:
    word = _find_unit(piece)
    return len(word) <= 1 or bool({word, word.translate(_SPELLING)} & _list_words())


def _find_unit(text: str) -> str:
    """Give the part that a text is a repetition of; the text itself when it is none."""
    return text[: (text + text).find(text, 1)]


@cache
def _list_words() -> frozenset[str]:
    # The lists alone: the estimator of the same library takes seconds for a crafted password.
    return _OWN_WORDS.union(*FREQUENCY_LISTS.values())
