"""Decoded scans that wait for the engine: bounded by their pixels, taken in micro-batches."""

import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from threading import Condition

from app.analysis.detection import Finding
from app.errors import EngineUnavailable, QueueFull
from models.decoding.scan import DecodedScan


class Lane(IntEnum):
    """Who goes first: a scan that somebody waits for, or one that can wait."""

    LIVE = 0
    BACKGROUND = 1


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How many scans and slices one batch takes, how long it waits for more, how many pixels wait.

    `max_waiting_px` bounds the memory of the queue; one scan may always wait, however large.
    """

    max_scans: int
    max_slices: int
    wait_s: float
    max_waiting_px: int


@dataclass(frozen=True, slots=True)
class Examination:
    """A finding, the bundle that made it, and how long its batch took for each of its scans."""

    digest: str
    finding: Finding
    duration_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A scan on its way through the engine; `digest` None asks for whichever bundle is live."""

    scan: DecodedScan
    lane: Lane
    digest: str | None
    future: "Future[Examination]" = field(default_factory=Future)


class ScanQueue:
    """Two lanes of tasks; the background lane moves only while the live one is empty."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._lanes: dict[Lane, deque[Task]] = {lane: deque() for lane in Lane}
        self._waiting_px = 0
        self._is_closed = False
        self._changed = Condition()

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes.values())

    def put(self, task: Task, timeout_s: float) -> None:
        """Add a task, waiting for room.

        Raises:
            QueueFull: there was no room in time.
            EngineUnavailable: the queue is closed.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_room(task), timeout_s):
                raise QueueFull(retry_after_s=1)
            if self._is_closed:
                raise EngineUnavailable
            self._lanes[task.lane].append(task)
            self._waiting_px += task.scan.pixels.size
            self._changed.notify_all()

    def take(self) -> list[Task]:
        """Wait for tasks and take a batch for one bundle; empty once closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: len(self) or self._is_closed)
            self._gather()
            batch = self._cut(self._lanes[Lane.LIVE] or self._lanes[Lane.BACKGROUND])
            self._waiting_px -= sum(task.scan.pixels.size for task in batch)
            self._changed.notify_all()
            return batch

    def close(self) -> None:
        """Take nothing more in; what waits is still handed out."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _has_room(self, task: Task) -> bool:
        is_within = self._waiting_px + task.scan.pixels.size <= self._limits.max_waiting_px
        return is_within or not len(self) or self._is_closed

    def _gather(self) -> None:
        """Wait a moment for a fuller batch."""
        deadline = time.monotonic() + self._limits.wait_s
        while len(self) < self._limits.max_scans and not self._is_closed:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self._changed.wait(left_s):
                return

    def _cut(self, lane: deque[Task]) -> list[Task]:
        """Take a batch for the bundle of the first task; tasks for others keep their places."""
        batch: list[Task] = []
        passed: list[Task] = []
        slices = 0
        while lane and len(batch) < self._limits.max_scans:
            task = lane.popleft()
            if batch and task.digest != batch[0].digest:
                passed.append(task)
                continue
            slices += task.scan.slice_count
            if batch and slices > self._limits.max_slices:
                passed.append(task)
                break
            batch.append(task)
        lane.extendleft(reversed(passed))
        return batch
