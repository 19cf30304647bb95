"""Decoding of untrusted bytes in a child process with bounds of memory and time."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from models.decoding.archive import ZipPart
from models.decoding.child_process import ChildProcess
from models.decoding.frame_check import check_frames, check_size
from models.decoding.limits import DecodeLimits
from models.decoding.part import Part, is_bundled
from models.decoding.scan import DecodedScan
from models.decoding.wire import (
    AnswerHeader,
    PartHeader,
    RequestHeader,
    ScanHeader,
    assemble_scan,
    frame_header,
)
from models.errors import CorruptScan, DecodeError, MemoryExceeded

# A fresh child from time to time, against codecs that leak.
_MAX_SCANS = 1000


@dataclass(frozen=True, slots=True)
class DecodeCost:
    """What a decode took: seconds as the parent waited, peak memory of the child."""

    seconds: float = 0.0
    peak_bytes: int = 0


class BoundedDecoder:
    """Decodes scans in one child process, one at a time; safe to share between threads.

    The child imports no torch, gets none of the parent's environment but paths, and can write no
    file. It serves many scans and is replaced when it dies, hangs or runs out of memory. Use
    several decoders to decode several scans at once.
    """

    def __init__(self, limits: DecodeLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._child: ChildProcess | None = ChildProcess()
        self._decoded = 0
        self.last_cost = DecodeCost()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process; a later `decode` starts another."""
        with self._lock:
            if self._child is not None:
                self._child.end()
                self._child = None

    def decode(self, source: Path | bytes | Sequence[Part]) -> DecodedScan:
        """Decode what `decode_scan` does, or for a sequence of files what `decode_series` does.

        Args:
            source: a path (of a file, folder or zip), the bytes of a file, or a series' files.

        Raises:
            DecodeTimeout: it took longer than the limits allow.
            MemoryExceeded: it took more memory.
            DecodeError: whatever else the child refused, or died of.
        """
        is_series = not isinstance(source, Path | bytes)
        parts = [source] if isinstance(source, Path | bytes) else list(source)
        messages = _build_request(parts, self._limits, is_series=is_series)
        is_long = len(parts) > 1 or any(is_bundled(part, self._limits) for part in parts[:1])
        timeout_s = self._limits.series_timeout_s if is_long else self._limits.timeout_s
        with self._lock:
            child = self._child or ChildProcess()
            self._child = child
            try:
                return self._exchange(child, messages, timeout_s)
            finally:
                self._replace_spent(child)

    def _exchange(
        self, child: ChildProcess, messages: Sequence[bytes], timeout_s: float
    ) -> DecodedScan:
        child.await_ready()
        started = time.monotonic()
        answer: AnswerHeader | None = None
        try:
            child.send(messages, started + timeout_s)
            answer = child.receive_header(started + timeout_s)
            if answer.scan is None:
                raise find_error(answer.error, answer.message)
            return _receive_scan(child, answer.scan, self._limits, timeout_s)
        except MemoryExceeded:
            # Its heap may be too torn for the next scan.
            child.is_spent = True
            raise
        finally:
            peak = answer.peak_bytes if answer else self._limits.max_memory_bytes
            self.last_cost = DecodeCost(time.monotonic() - started, peak)

    def _replace_spent(self, child: ChildProcess) -> None:
        """Start the next child at once, so that it is ready when the next scan comes."""
        self._decoded += 1
        if child.is_spent or self._decoded >= _MAX_SCANS:
            child.end()
            self._child = ChildProcess()
            self._decoded = 0


def _build_request(parts: Sequence[Part], limits: DecodeLimits, *, is_series: bool) -> list[bytes]:
    """Give the messages of a request: its header, then each blob once."""
    if not parts:
        raise CorruptScan("found no file of a series")
    check_frames(1, 1, len(parts), limits)
    blobs: dict[int, bytes] = {}
    headers = []
    for part in parts:
        home = part.archive if isinstance(part, ZipPart) else part
        entry = {"entry": part.name, "entry_bytes": part.limit} if isinstance(part, ZipPart) else {}
        if isinstance(home, Path):
            headers.append(PartHeader.model_validate({"path": str(home.absolute()), **entry}))
        else:
            blobs[id(home)] = home
            index = list(blobs).index(id(home))
            headers.append(PartHeader.model_validate({"blob": index, **entry}))
    sizes = tuple(len(blob) for blob in blobs.values())
    check_size(sum(sizes), limits)
    header = RequestHeader(
        is_series=is_series, parts=tuple(headers), blob_bytes=sizes, limits=limits
    )
    return [frame_header(header), *blobs.values()]


def _receive_scan(
    child: ChildProcess, header: ScanHeader, limits: DecodeLimits, timeout_s: float
) -> DecodedScan:
    """Read the arrays of a scan, once the size that the child tells was checked again."""
    slices, rows, columns = header.shape
    try:
        check_frames(rows, columns, slices, limits)
    except DecodeError:
        child.is_spent = True
        raise
    deadline = time.monotonic() + timeout_s
    pixels = child.receive(header.pixel_count * 4, deadline).view(np.float32)
    padding = None
    if header.has_padding:
        marks = child.receive(header.pixel_count, deadline)
        padding = (marks != 0).reshape(header.shape)
    return assemble_scan(header, pixels.reshape(header.shape), padding)


def find_error(code: str, message: str) -> DecodeError:
    """Give the named error that a child told by its code word."""
    waiting: list[type[DecodeError]] = [DecodeError]
    while waiting:
        kind = waiting.pop()
        error = kind(message)
        if error.code == code:
            return error
        waiting.extend(kind.__subclasses__())
    return CorruptScan("the decoder gave an answer that is no answer")
