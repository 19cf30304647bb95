"""Scores scans side by side, each process with a detector and a bounded decoder of its own.

Threads of one process would wait for each other between the many small steps of a scan.
"""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import torch

from models.decoding.limits import DecodeLimits
from models.decoding.worker import BoundedDecoder
from models.detector import Detector
from models.memory import keep_freed_memory
from models.reconstruct import fixed_threads
from training.device import count_processors
from training.scan_stream import Decode, decode_bounded, drain_in_order, open_decoders
from training.score_files import FileSource, ScoredFile, score_source

# To start one more process takes as long as to score about so many scans.
FILES_PER_PROCESS = 100

Score = Callable[[Iterable[FileSource]], Iterator[ScoredFile]]


@dataclass(frozen=True, slots=True)
class ScorerSpec:
    """What every scoring process needs: the bundle's folder, its device, limits, pictures."""

    bundle: Path
    device: torch.device
    limits: DecodeLimits
    pictures: Path | None = None


def choose_workers(paths: Sequence[Path]) -> int:
    """Say how many processes so many files are worth, at most one a processor."""
    most = count_processors()
    counted = sum(1 for _ in islice(_list_files(paths), most * FILES_PER_PROCESS))
    return max(1, min(most, counted // FILES_PER_PROCESS))


@contextmanager
def open_scorers(spec: ScorerSpec, workers: int) -> Iterator[Score]:
    """Give a function that scores sources in their order.

    Args:
        spec: what the processes need.
        workers: processes; with one, the calling process scores.

    Raises:
        BundleError: the bundle may not be used.
    """
    if workers == 1:
        with open_decoders(1, spec.limits) as decode:
            detector = Detector.load(spec.bundle, spec.device)
            yield partial(_score_here, detector, decode, spec.pictures)
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin)
    try:
        for starting in [pool.submit(_await_detector, spec) for _ in range(workers)]:
            starting.result()
        yield lambda sources: drain_in_order(pool, partial(_score_there, spec), sources, workers)
    finally:
        pool.shutdown(cancel_futures=True)


def _score_here(
    detector: Detector, decode: Decode, pictures: Path | None, sources: Iterable[FileSource]
) -> Iterator[ScoredFile]:
    with fixed_threads():
        for source in sources:
            yield score_source(detector, decode, source, pictures)


def _begin() -> None:
    """Prepare a scoring process; it is the parent that an interrupt from the keyboard ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    keep_freed_memory()


def _await_detector(spec: ScorerSpec) -> None:
    _load(spec)


def _score_there(spec: ScorerSpec, source: FileSource) -> ScoredFile:
    detector, decode = _load(spec)
    with fixed_threads():
        return score_source(detector, decode, source, spec.pictures)


@lru_cache(maxsize=1)
def _load(spec: ScorerSpec) -> tuple[Detector, Decode]:
    """Load the bundle and start a decoder, once in each process."""
    decoder = BoundedDecoder(spec.limits)  # it starts while the bundle is loaded
    return Detector.load(spec.bundle, spec.device), partial(decode_bounded, decoder)


def _list_files(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        if path.is_dir():
            for _, _, names in os.walk(path):
                yield from names
        else:
            yield path.name
