"""Secrets that we draw: API keys, session tokens, the setup secret. Only their sha256 is stored.

They carry 256 bits of chance, so a plain digest is as good as a slow one; passwords, which people
choose, are another matter (see passwords.py).
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from uuid import UUID

_KEY = re.compile(r"aegle_(?P<id>[0-9a-f]{32})_(?P<secret>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class KeyToken:
    """An API key as a tool presents it."""

    id: UUID
    secret: str

    def __str__(self) -> str:
        return f"aegle_{self.id.hex}_{self.secret}"


def draw_key(identifier: UUID) -> KeyToken:
    """Draw the secret of a new API key."""
    return KeyToken(identifier, secrets.token_hex(32))


def parse_key(text: str) -> KeyToken | None:
    """Take an API key apart; None when it does not have the form of one."""
    match = _KEY.fullmatch(text)
    return KeyToken(UUID(match["id"]), match["secret"]) if match else None


def draw_token() -> str:
    """Draw a session token, a state or a nonce."""
    return secrets.token_urlsafe(32)


def digest_token(token: str) -> str:
    """Give what is stored of a secret."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_same_digest(token: str, sha256: str) -> bool:
    """Compare a presented secret with what is stored, in constant time."""
    return hmac.compare_digest(digest_token(token), sha256)


def derive_csrf_token(session_token: str) -> str:
    """Give the CSRF token of a session; it is bound to it and needs no storage."""
    return hmac.new(session_token.encode(), b"csrf", hashlib.sha256).hexdigest()
