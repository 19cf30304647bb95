"""Passwords of local administrators: argon2id, and what a password must be (ASVS 5.0, 6.2)."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import WeakPassword

MIN_LENGTH = 15
MAX_LENGTH = 256
_MIN_DIFFERENT = 6


class Passwords:
    """Hashes and verifies passwords with one set of costs."""

    def __init__(self, memory_kib: int, time_cost: int) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        self._decoy = self._hasher.hash("a password that nobody has")

    def hash(self, password: str) -> str:
        """Hash a new password.

        Raises:
            WeakPassword: it is too short, too long or a repetition of few characters.
        """
        is_long_enough = MIN_LENGTH <= len(password) <= MAX_LENGTH
        if not is_long_enough or len(set(password)) < _MIN_DIFFERENT:
            raise WeakPassword
        return self._hasher.hash(password)

    def verify(self, stored: str | None, password: str) -> bool:
        """Compare a password with its hash; takes as long when there is none to compare with."""
        try:
            self._hasher.verify(stored or self._decoy, password[: MAX_LENGTH + 1])
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None
