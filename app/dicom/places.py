"""How much is taken in at one time: a place for each request, and no more than there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from app.errors import QueueFull


class Places:
    """A number of places."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = Lock()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold a place for as long as the block lasts.

        Raises:
            QueueFull: there is none.
        """
        with self._lock:
            if not self._free:
                raise QueueFull("as many messages as may are being taken in", retry_after_s=1)
            self._free -= 1
        try:
            yield
        finally:
            with self._lock:
                self._free += 1
