"""Identifiers of rows: UUID version 7 (RFC 9562) so that new rows lie side by side."""

import secrets
from datetime import datetime
from uuid import UUID


def draw_id(at: datetime) -> UUID:
    """Draw the identifier of a row made at this instant; 74 of its bits are secret."""
    milliseconds = int(at.timestamp() * 1000) & (2**48 - 1)
    high = secrets.randbits(12)
    low = secrets.randbits(62)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)
