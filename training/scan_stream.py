"""Decodes the scans of a cohort side by side, and hands the outcomes on in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import TypeVar

from models.decoding.archive import ZipPart
from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.decoding.part import Part
from models.decoding.scan import DecodedScan
from models.decoding.series import decode_series
from models.decoding.worker import BoundedDecoder

Decode = Callable[[Sequence[Part]], DecodedScan]

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def decode_parts(parts: Sequence[Part], limits: DecodeLimits) -> DecodedScan:
    """Decode one file or folder, or several files that are the slices of one volume.

    Raises:
        DecodeError: the files give no scan.
    """
    if len(parts) == 1 and not isinstance(parts[0], ZipPart):
        return decode_scan(parts[0], limits)
    return decode_series(parts, limits)


def decode_bounded(decoder: BoundedDecoder, parts: Sequence[Part]) -> DecodedScan:
    """Do what `decode_parts` does in a bounded child process.

    Raises:
        DecodeError: the files give no scan.
    """
    if len(parts) == 1 and not isinstance(parts[0], ZipPart):
        return decoder.decode(parts[0])
    return decoder.decode(parts)


@contextmanager
def open_decoders(workers: int, limits: DecodeLimits) -> Iterator[Decode]:
    """Give a function that decodes in whichever bounded child process is free.

    A file that hangs or kills its decoder is one unread scan, not the end of the run. With no
    workers the calling process decodes, which starts faster and is enough for a small cohort.
    """
    if workers == 0:
        yield lambda parts: decode_parts(parts, limits)
        return
    free: SimpleQueue[BoundedDecoder] = SimpleQueue()

    def decode(parts: Sequence[Part]) -> DecodedScan:
        decoder = free.get()
        try:
            return decode_bounded(decoder, parts)
        finally:
            free.put(decoder)

    with ExitStack() as stack:
        for _ in range(workers):
            free.put(stack.enter_context(BoundedDecoder(limits)))
        yield decode


def map_in_order(
    work: Callable[[Item], Outcome], items: Iterable[Item], workers: int
) -> Iterator[Outcome]:
    """Do the work in as many threads, never more than two items each ahead of the reader."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        yield from drain_in_order(pool, work, items, workers)


def drain_in_order(
    pool: Executor, work: Callable[[Item], Outcome], items: Iterable[Item], workers: int
) -> Iterator[Outcome]:
    """Do the work in a pool of so many workers, never more than two items each ahead."""
    ahead: deque[Future[Outcome]] = deque()
    for item in items:
        ahead.append(pool.submit(work, item))
        if len(ahead) > 2 * workers:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()
