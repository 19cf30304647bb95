"""Time, passed in: what the service calls now, and how it measures waiting."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What tells the time."""

    def now(self) -> datetime:
        """Tell the instant, in UTC."""
        ...

    def elapsed_s(self) -> float:
        """Tell seconds since some fixed moment; never runs backwards."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Tell the instant, in UTC."""
        return datetime.fromtimestamp(time.time(), UTC)

    def elapsed_s(self) -> float:
        """Tell seconds since some fixed moment; never runs backwards."""
        return time.monotonic()
