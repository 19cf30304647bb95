"""The engine: one device, the bundles loaded on it, and one thread that examines micro-batches."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Lock, Thread

from app.analysis.detection import Device, LoadedDetector
from app.analysis.scan_queue import BatchLimits, Examination, Lane, ScanQueue, Task
from app.errors import EngineUnavailable, PoisonScan
from models.decoding.scan import DecodedScan

_LOG = logging.getLogger(__name__)


class EngineState(StrEnum):
    """Whether the engine can examine scans."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What `/readyz` tells of the engine; `reason` is empty when it is ready."""

    state: EngineState
    reason: str
    live_digest: str | None


class Engine:
    """Examines decoded scans under the live bundle, or under another that is loaded beside it."""

    def __init__(self, open_device: Callable[[], Device], limits: BatchLimits) -> None:
        self._open_device = open_device
        self._device: Device | None = None
        self._queue = ScanQueue(limits)
        self._detectors: dict[str, LoadedDetector] = {}
        self._live: str | None = None
        self.candidate: str | None = None
        self._failure = ""
        self._held: Counter[str] = Counter()
        self._loading = Lock()
        self._thread = Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Start the engine's thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Examine what waits, then end."""
        self._queue.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    @property
    def status(self) -> EngineStatus:
        """Tell the state of this moment."""
        if self._failure:
            return EngineStatus(EngineState.FAILED, self._failure, self._live)
        if self._live is None:
            return EngineStatus(EngineState.LOADING, "no bundle is loaded", None)
        if not self._thread.is_alive():
            return EngineStatus(EngineState.FAILED, "the engine's thread is dead", self._live)
        return EngineStatus(EngineState.READY, "", self._live)

    @property
    def is_ready(self) -> bool:
        """Whether scans are examined at this moment."""
        return self.status.state is EngineState.READY

    @property
    def waiting_count(self) -> int:
        """How many decoded scans wait."""
        return len(self._queue)

    @property
    def loaded(self) -> frozenset[str]:
        """Digests of the bundles on the device."""
        return frozenset(self._detectors)

    def check(self) -> None:
        """Let a scan be taken in.

        Raises:
            EngineUnavailable: the engine is loading, failed or stopping.
        """
        status = self.status
        if status.state is not EngineState.READY:
            raise EngineUnavailable(status.reason, retry_after_s=5)

    def load(self, folder: Path) -> str:
        """Load a bundle beside those in use, in the caller's thread, and give its digest.

        Raises:
            BundleError: the bundle may not be used; the leaf says why.
        """
        with self._loading:
            self._device = self._device or self._open_device()
            detector = self._device.load(folder)
            self._detectors.setdefault(detector.digest, detector)
            return detector.digest

    def choose(self, live: str, candidate: str | None) -> None:
        """Use loaded bundles from the next batch on, and unload those that were in use before."""
        if not {live, candidate or live} <= self._detectors.keys():
            raise EngineUnavailable("the bundle is not loaded")
        before = {self._live, self.candidate}
        self._live, self.candidate = live, candidate
        self._failure = ""
        for digest in before:
            self.unload(digest or "")

    @contextmanager
    def hold(self, digest: str, folder: Path) -> Iterator[None]:
        """Keep a bundle loaded for as long as the block lasts, whichever is live meanwhile.

        Raises:
            BundleError: the bundle may not be used; the leaf says why.
        """
        with self._loading:
            self._held[digest] += 1
        try:
            if digest not in self._detectors:
                self.load(folder)
            yield
        finally:
            with self._loading:
                self._held[digest] -= 1
            self.unload(digest)

    def unload(self, digest: str) -> None:
        """Take a bundle off the device, unless it is in use."""
        with self._loading:
            if digest not in {self._live, self.candidate} and not self._held[digest]:
                self._detectors.pop(digest, None)

    def fail(self, reason: str) -> None:
        """Say that scans cannot be examined, and why; a bundle that loads ends this."""
        self._failure = reason

    def submit(
        self, scan: DecodedScan, lane: Lane, digest: str | None = None, timeout_s: float = 0.0
    ) -> Task:
        """Queue a scan; the task's future gives its examination.

        Args:
            scan: what to examine.
            lane: who goes first.
            digest: a loaded bundle; None is whichever is live when its batch begins.
            timeout_s: how long to wait for room in the queue.

        Raises:
            EngineUnavailable: the engine is loading, failed or stopping.
            QueueFull: there was no room in time.
        """
        self.check()
        task = Task(scan, lane, digest)
        self._queue.put(task, timeout_s)
        return task

    def _run(self) -> None:
        with ExitStack() as stack:
            is_fixed = False
            while batch := self._queue.take():
                if not is_fixed and self._device is not None:
                    stack.enter_context(self._device.fix_threads())
                    is_fixed = True
                taken = [task for task in batch if task.future.set_running_or_notify_cancel()]
                if taken:
                    self._answer(taken)

    def _answer(self, batch: Sequence[Task]) -> None:
        digest = batch[0].digest or self._live
        detector = self._detectors.get(digest or "")
        if detector is None:
            for task in batch:
                task.future.set_exception(EngineUnavailable("the bundle is not loaded"))
            return
        started_s = time.monotonic()
        try:
            findings = detector.examine([task.scan for task in batch])
        except Exception as error:  # noqa: BLE001 - one poison scan must not end the engine
            self._retry(batch, detector, error)
            return
        duration_s = (time.monotonic() - started_s) / len(batch)
        for task, finding in zip(batch, findings, strict=True):
            task.future.set_result(Examination(detector.digest, finding, duration_s))

    def _retry(self, batch: Sequence[Task], detector: LoadedDetector, error: Exception) -> None:
        """Examine the scans of a failed batch one by one; one alone is poison or the engine ill."""
        _LOG.warning("a batch failed", exc_info=error, extra={"fields": {"scans": len(batch)}})
        if len(batch) > 1:
            for task in batch:
                self._answer([task])
            return
        if self._is_sound(detector):
            batch[0].future.set_exception(PoisonScan())
        else:
            self.fail("the bundle no longer reproduces its own check")
            batch[0].future.set_exception(EngineUnavailable(self._failure))

    def _is_sound(self, detector: LoadedDetector) -> bool:
        """Tell by the bundle's check whether the engine is to blame, not the scan."""
        try:
            detector.replay_check()
        except Exception as error:  # noqa: BLE001 - whatever a broken device raises
            _LOG.error("the engine failed its check", exc_info=error)
            return False
        return True
