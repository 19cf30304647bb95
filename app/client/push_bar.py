"""The bar of a push: bytes, rate, time left, and what came of the scans so far."""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from app.client.deliveries import Tally
from app.client.parcels import Parcel, find_parcels, list_files
from app.client.push import Delivery

_MEBI = 2**20


class PushBar:
    """Shows a push on a console while it runs; safe to tell from several threads."""

    def __init__(self, console: Console) -> None:
        self.tally = Tally()
        self.passed_over: list[Path] = []
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[counts]}"),
            console=console,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._progress.add_task("look", total=None, counts="")
        self._lock = Lock()
        self._sizes: dict[Path, int] = {}
        self._on_the_way: Counter[Parcel] = Counter()
        self._left_bytes = 0
        self._sent_bytes = 0
        self._scan_count = 0
        self._again_count = 0
        self._started_s = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __str__(self) -> str:
        seconds = time.monotonic() - self._started_s
        rate = self._scan_count / seconds if seconds else 0.0
        again = f" ({self._again_count} were sent before)" if self._again_count else ""
        return (
            f"{self._scan_count} scans{again} in {seconds:.1f} s, {rate:.1f} a second,"
            f" {self._sent_bytes / _MEBI:.1f} MiB sent:  {self.tally}"
        )

    def begin(self, paths: Sequence[Path]) -> Iterator[Parcel]:
        """List what lies under the paths, and give the parcels to send."""
        files = list_files(paths, self.passed_over)
        self._sizes = {file.path: file.size_bytes for file in files}
        self._left_bytes = sum(self._sizes.values())
        self._progress.update(self._task, description="push", total=self._left_bytes)
        yield from find_parcels(files)

    def advance(self, parcel: Parcel, size_bytes: int) -> None:
        """Count bytes that went out; negative ones are sent again."""
        with self._lock:
            self._on_the_way[parcel] += size_bytes
            self._sent_bytes += max(0, size_bytes)
        self._progress.advance(self._task, size_bytes)

    def settle(self, delivery: Delivery) -> None:
        """Count a parcel that is through, or refused, or was through before."""
        self.tally.add(delivery)
        size = sum(self._sizes.get(path, 0) for path in delivery.parcel.files)
        with self._lock:
            left = size - self._on_the_way.pop(delivery.parcel, 0)
            self._scan_count += 1
            self._again_count += not delivery.was_sent
            self._left_bytes -= 0 if delivery.was_sent else size
        self._progress.update(
            self._task,
            total=self._left_bytes,
            advance=left if delivery.was_sent else 0,
            description=f"push {self._scan_count} scans",
            counts=str(self.tally),
        )
