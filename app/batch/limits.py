"""How much of a job may be in memory: decoded pixels, shared by all chunks of a process."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Event

_POLL_S = 0.2


class Allowance:
    """So many pixels at once; one scan may always pass, however large."""

    def __init__(self, max_px: int) -> None:
        self._max_px = max_px
        self._taken_px = 0
        self._changed = Condition()

    def take(self, pixels: int, stopping: Event) -> bool:
        """Wait until there is room and take it; False when it was not worth waiting any more."""
        with self._changed:
            while self._taken_px and self._taken_px + pixels > self._max_px:
                if stopping.is_set():
                    return False
                self._changed.wait(_POLL_S)
            self._taken_px += pixels
            return True

    @contextmanager
    def returning(self, pixels: int) -> Iterator[None]:
        """Give what was taken back at the end of the block."""
        try:
            yield
        finally:
            with self._changed:
                self._taken_px -= pixels
                self._changed.notify_all()
