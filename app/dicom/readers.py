"""Header readers: several bounded child processes, each lent to one object at a time."""

import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock

from pydantic import ValidationError

from app.dicom.header import ObjectHeader
from app.dicom.header_child import HeaderAnswer, HeaderRequest
from app.intake.unpacker import tighten_limits
from models.decoding.child_process import ChildProcess
from models.decoding.limits import DecodeLimits
from models.decoding.wire import frame_header
from models.decoding.worker import find_error
from models.errors import AegleError, CorruptScan

_MODULE = "app.dicom.header_child"
_MOST_READ = 10_000  # then a fresh child, against what leaks


class HeaderReaders:
    """A pool of readers; a caller waits until one is free. None runs before the first is needed."""

    def __init__(self, limits: DecodeLimits, count: int) -> None:
        self._limits = limits
        self._all: list[_Reader] = [_Reader() for _ in range(count)]
        self._free: SimpleQueue[_Reader] = SimpleQueue()
        for reader in self._all:
            self._free.put(reader)

    def read(
        self, path: Path, size_bytes: int, meanwhile: Callable[[], None] | None = None
    ) -> ObjectHeader:
        """Read the header of a file.

        Args:
            path: the file.
            size_bytes: of it.
            meanwhile: what this thread does while the child reads, or while it waits for a child.

        Raises:
            DecodeError: it has none that can be read within the limits.
        """
        limits = tighten_limits(self._limits, size_bytes)
        request = HeaderRequest(path=str(path.absolute()), limits=limits)
        try:
            reader = self._free.get_nowait()
        except Empty:
            if meanwhile is not None:
                meanwhile()
            reader, meanwhile = self._free.get(), None
        try:
            return reader.read(request, meanwhile)
        finally:
            self._free.put(reader)

    def warm(self) -> None:
        """Start the children before the first object needs them."""
        for reader in self._all:
            reader.start()

    def close(self) -> None:
        """End the child processes."""
        for reader in self._all:
            reader.end()


class _Reader:
    """One child process; whoever took it from the queue has it alone."""

    def __init__(self) -> None:
        self._child: ChildProcess | None = None
        self._lock = Lock()
        self._count = 0

    def start(self) -> ChildProcess:
        with self._lock:
            self._child = self._child or ChildProcess(_MODULE)
            return self._child

    def end(self) -> None:
        with self._lock:
            if self._child is not None:
                self._child.end()
            self._child = None

    def read(self, request: HeaderRequest, meanwhile: Callable[[], None] | None) -> ObjectHeader:
        child = self.start()
        child.await_ready()
        timeout_s = request.limits.timeout_s
        is_whole = False
        try:
            child.send([frame_header(request)], time.monotonic() + timeout_s)
            failure = _try(meanwhile)  # the child answers all the same, and must be heard
            text = child.receive_text(time.monotonic() + timeout_s)
            answer = HeaderAnswer.model_validate_json(text)
            is_whole = True
        except ValidationError:
            raise CorruptScan("the reader gave an answer that is no answer") from None
        finally:
            self._count += 1
            if not is_whole or child.is_spent or self._count % _MOST_READ == 0:
                self.end()
        if failure is not None:
            raise failure
        if answer.header is None:
            raise find_error(answer.error, answer.message)
        return answer.header


def _try(act: Callable[[], None] | None) -> AegleError | None:
    try:
        if act is not None:
            act()
    except AegleError as error:
        return error
    return None
