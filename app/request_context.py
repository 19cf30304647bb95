"""Which request is being answered: the id that ties answer, log lines and audit entry."""

import re
import secrets
from contextvars import ContextVar

_FORM = re.compile(r"[0-9a-f]{32}")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def choose_request_id(proposed: str | None) -> str:
    """Take the caller's id when it is 32 hex digits, else draw one.

    Free text is not taken over: it would carry whatever the caller wrote into logs and answers.
    """
    if proposed is not None and _FORM.fullmatch(proposed):
        return proposed
    return secrets.token_hex(16)
