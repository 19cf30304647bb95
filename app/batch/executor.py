"""Who scores the cases of a chunk: one interface, here and elsewhere.

The local executor uses the decoders and the engine of this process, behind live scoring. Another
one (a cluster's) takes the same order and gives the same answers; leases, commits, counts and
cancelling are not its business.
"""

from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Semaphore
from typing import Protocol
from uuid import UUID

from app.analysis.decoders import Decoders, find_case_files
from app.analysis.engine import Engine
from app.analysis.findings import StoredCase, describe_finding, pack_finding
from app.analysis.scan_queue import Examination, Lane, Task
from app.batch.limits import Allowance
from app.batch.orders import ScoredCase
from app.bundles.folder import BundleFolder
from app.errors import BlobCorrupt, NotFoundError, PoisonScan
from app.storage.opening import Storage
from models.errors import DecodeError

_POLL_S = 0.2
_ROOM_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class ChunkOrder:
    """Cases to be scored under a bundle that is held; maps are kept, or numbers alone."""

    case_ids: Sequence[UUID]
    bundle_digest: str
    keeps_maps: bool


class ScanExecutor(Protocol):
    """What scores the cases of a chunk."""

    @property
    def is_ready(self) -> bool:
        """Whether scans can be scored at this moment."""
        ...

    def hold(self, digest: str) -> AbstractContextManager[None]:
        """Keep a bundle loaded for as long as the block lasts.

        Raises:
            BundleError: it cannot be used here; the leaf says why.
        """
        ...

    def score(self, order: ChunkOrder, stopping: Event) -> list[ScoredCase] | None:
        """Score cases; None when `stopping` was set meanwhile.

        Raises:
            EngineError: nothing can be scored at the moment; no scan is to blame.
            StorageError: what is stored cannot be reached at the moment.
        """
        ...

    def close(self) -> None:
        """End; nothing is scored any more."""
        ...


@dataclass(frozen=True, slots=True)
class ExecutorLimits:
    """Scans on their way at once, decoded pixels among them, and decoders used at once."""

    max_scans: int
    max_px: int
    decoder_count: int


class LocalExecutor:
    """Scores in this process: each scan is carried from its files to its maps by one thread."""

    def __init__(
        self,
        storage: Storage,
        engine: Engine,
        decoders: Decoders,
        bundles: BundleFolder,
        limits: ExecutorLimits,
    ) -> None:
        self._storage = storage
        self._engine = engine
        self._decoders = decoders
        self._bundles = bundles
        self._allowance = Allowance(limits.max_px)
        self._decoding = Semaphore(limits.decoder_count)
        self._carriers = ThreadPoolExecutor(limits.max_scans, thread_name_prefix="carrier")

    @property
    def is_ready(self) -> bool:
        """Whether the engine examines scans."""
        return self._engine.is_ready

    def hold(self, digest: str) -> AbstractContextManager[None]:
        """Keep a bundle loaded beside the live one."""
        return self._engine.hold(digest, self._bundles.find(digest))

    def score(self, order: ChunkOrder, stopping: Event) -> list[ScoredCase] | None:
        """Score cases, decoding and inference side by side."""
        carried: list[Future[ScoredCase | None]] = [
            self._carriers.submit(self._carry, case_id, order, stopping)
            for case_id in order.case_ids
        ]
        try:
            scored = [each.result() for each in carried]
        except CancelledError:  # the process ends
            return None
        finally:
            for each in carried:
                each.cancel()
        found = [each for each in scored if each is not None]
        return found if len(found) == len(carried) else None

    def close(self) -> None:
        """Drop what has not begun; what has begun ends by itself."""
        self._carriers.shutdown(wait=False, cancel_futures=True)

    def _carry(self, case_id: UUID, order: ChunkOrder, stopping: Event) -> ScoredCase | None:
        try:
            stored = find_case_files(self._storage, case_id)
            examination = self._examine(stored.files, order.bundle_digest, stopping)
        except (DecodeError, PoisonScan, NotFoundError, BlobCorrupt) as error:
            return ScoredCase(case_id, None, failure_code=error.code)
        if examination is None:
            return None
        if not order.keeps_maps:
            return ScoredCase(case_id, describe_finding(examination, (), stored.edition))
        case = StoredCase(case_id, stored.edition)
        packed = pack_finding(self._storage.blobs, case, examination, is_shown=False)
        return ScoredCase(case_id, packed.finding, packed.blobs)

    def _examine(
        self, files: Sequence[Path | bytes], digest: str, stopping: Event
    ) -> Examination | None:
        with self._decoding:
            if stopping.is_set():
                return None
            scan = self._decoders.decode(files)
            # Waiting with the right to decode in hand bounds how many scans wait outside.
            if not self._allowance.take(scan.pixels.size, stopping):
                return None
        with self._allowance.returning(scan.pixels.size):
            task = self._engine.submit(scan, Lane.BACKGROUND, digest, _ROOM_WAIT_S)
            return self._await(task, stopping)

    def _await(self, task: Task, stopping: Event) -> Examination | None:
        while True:
            try:
                return task.future.result(_POLL_S)
            except TimeoutError:
                if stopping.is_set():
                    task.future.cancel()
                    return None
                self._engine.check()
