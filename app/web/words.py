"""Plain words and numbers for readers: verdicts, states, reasons, shares, times, names."""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

VERDICTS = {
    "anomalous": "Anomalous",
    "typical": "Typical",
    "indeterminate": "Indeterminate",
}
STATES = {
    "receiving": "Receiving",
    "queued": "Waiting",
    "scored": "Scored",
    "quarantined": "Set aside",
}
DECISIONS = {
    "none": "Not reviewed",
    "confirmed": "Confirmed",
    "dismissed": "Dismissed",
    "unsure": "Unsure",
}
# Why a case was set aside, where its code word alone would puzzle a reader.
FAILURES = {
    "poison_scan": "Examining it fails every time",
    "corrupt_scan": "The file is damaged",
    "unknown_format": "Not a format that can be read",
    "unsupported_encoding": "Its encoding cannot be read",
    "too_many_bytes": "It is too large",
    "no_pixels": "It holds no picture",
    "decode_timeout": "Reading it took too long",
}

DASH = "\N{EN DASH}"
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def tell_failure(code: str | None) -> str:
    """Give the reason behind a code word."""
    code = code or "unknown"
    return FAILURES.get(code, code.replace("_", " ").capitalize())


def tell_name(name: str | None) -> str:
    """Give a person name for reading, empty for none.

    DICOM parts it with carets, its scripts with equal signs (PS3.5 6.2.1.1).
    """
    alphabetic = (name or "").partition("=")[0]
    parts = [part.strip() for part in alphabetic.split("^") if part.strip()]
    return ", ".join([parts[0], " ".join(parts[1:])]) if len(parts) > 1 else "".join(parts)


def tell_number(value: float | None, digits: int = 2) -> str:
    """Give a number with so many digits behind the point."""
    return DASH if value is None else f"{value:.{digits}f}"


def tell_share(value: float | None) -> str:
    """Give a share in percent, precise where it is small."""
    if value is None:
        return DASH
    percent = 100 * value
    if percent >= 10:
        return f"{percent:.0f} %"
    return f"{percent:.1f} %" if percent >= 1 else f"{percent:.2g} %"


def tell_share_below(p_value: float) -> str:
    """Give the share of healthy scans that score lower, never more than the p-value proves."""
    tenths = math.floor(1000 * (1 - p_value) + 1e-9)
    return f"{tenths / 10:.1f} %" if tenths >= 950 else f"{tenths // 10} %"


def tell_age(at: datetime, now: datetime) -> str:
    """Tell how long ago something was."""
    seconds = max(0.0, (now - at).total_seconds())
    if seconds < _MINUTE_S:
        return "just now"
    if seconds < _HOUR_S:
        return f"{int(seconds // _MINUTE_S)} min ago"
    if seconds < _DAY_S:
        return f"{int(seconds // _HOUR_S)} h ago"
    days = int(seconds // _DAY_S)
    return f"{days} day{'' if days == 1 else 's'} ago"


def tell_duration(seconds: float) -> str:
    """Tell how long something takes, roughly."""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h"


def tell_instant(at: datetime | None) -> str:
    """Give an instant, in UTC; browsers show it in their own zone."""
    return DASH if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def tell_size(size_bytes: int) -> str:
    """Give a size of files."""
    size = float(size_bytes)
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def shorten_digest(digest: str | None) -> str:
    """Give the beginning of a digest, enough to tell bundles apart."""
    return (digest or "")[:12]


def _look_up(table: dict[str, str]) -> Callable[[str | None], str]:
    return lambda word: table.get(word or "", (word or DASH).replace("_", " ").capitalize())


FILTERS: dict[str, Callable[..., Any]] = {
    "verdict": _look_up(VERDICTS),
    "state": _look_up(STATES),
    "decision": _look_up(DECISIONS),
    "failure": tell_failure,
    "person": tell_name,
    "number": tell_number,
    "share": tell_share,
    "instant": tell_instant,
    "size": tell_size,
    "digest": shorten_digest,
}
