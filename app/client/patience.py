"""How long and how often a request is tried: backoff with chance, and the service's own word."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from app.clock import Clock

_TRY_AGAIN = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RetryRules:
    """Tries go on for `patience_s`, with pauses that double from `first_s` to `most_s`.

    Pauses are drawn between half and all of that; a Retry-After of the service counts instead.
    """

    patience_s: float = 300.0
    first_s: float = 0.25
    most_s: float = 20.0


BRIEF = RetryRules(patience_s=3.0)


class Patience:
    """The tries of one request."""

    def __init__(self, rules: RetryRules, clock: Clock, draw: Callable[[], float]) -> None:
        self._rules = rules
        self._clock = clock
        self._draw = draw
        self._pauses = 0
        self._since_s: float | None = None

    def find_pause_s(self, retry_after: str | None) -> float | None:
        """Give the seconds to wait before the next try; None when patience is over."""
        now_s = self._clock.elapsed_s()
        self._since_s = now_s if self._since_s is None else self._since_s
        asked_s = self._read_seconds(retry_after)
        longest_s = min(self._rules.most_s, self._rules.first_s * 2.0**self._pauses)
        # Chance spreads those who were sent away together, also those told the same second.
        pause_s = asked_s + self._rules.first_s * self._draw() if asked_s else None
        pause_s = longest_s * (0.5 + 0.5 * self._draw()) if pause_s is None else pause_s
        self._pauses += 1
        is_over = now_s + pause_s - self._since_s > self._rules.patience_s
        return None if is_over else pause_s

    def _read_seconds(self, retry_after: str | None) -> float:
        """Read seconds or a date (RFC 9110 10.2.3); 0 where nothing is said."""
        text = (retry_after or "").strip()
        if text.isdecimal():
            return float(text)
        try:
            asked_at = parsedate_to_datetime(text)
        except ValueError:
            return 0.0
        zoned = asked_at if asked_at.tzinfo else asked_at.replace(tzinfo=UTC)
        return max(0.0, (zoned - self._clock.now()).total_seconds())


def may_try_again(status: int) -> bool:
    """Whether an answer with this status may be another one later; 507 waits for people."""
    return status in _TRY_AGAIN


def draw_pause() -> float:
    """Draw the chance in a pause, 0..1."""
    return random.random()  # noqa: S311 - spreads tries, guards nothing
