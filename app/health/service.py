"""Is the service ready? Each part is asked; none may keep the answer waiting."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from app.analysis.engine import EngineState
from app.analysis.tasks import ScoringLine
from app.errors import StorageError
from app.health.schemas import PartState, Readiness
from app.storage.opening import Storage

_DATABASE_WAIT_S = 0.7


class ReadinessProbe:
    """Asks engine, keeper, database and disk; owns a thread, as others may all be busy."""

    def __init__(self, storage: Storage, line: ScoringLine) -> None:
        self._storage = storage
        self._line = line
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="probe")
        self._asking: asyncio.Future[PartState] | None = None

    async def ask(self) -> Readiness:
        """Tell whether scans are taken in and scored."""
        parts = [self._ask_engine(), self._ask_keeper(), await self._ask_database()]
        return Readiness(
            is_ready=all(part.is_ready for part in parts),
            parts=parts,
            live_bundle=self._line.engine.status.live_digest,
        )

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _ask_engine(self) -> PartState:
        status = self._line.engine.status
        is_ready = status.state is EngineState.READY
        return PartState(
            name="engine", is_ready=is_ready, state=status.state.value, reason=status.reason
        )

    def _ask_keeper(self) -> PartState:
        is_alive = self._line.keeper.is_alive
        return _describe("keeper", "" if is_alive else "the keeper's thread is dead")

    async def _ask_database(self) -> PartState:
        if self._asking is None or self._asking.done():
            loop = asyncio.get_running_loop()
            self._asking = loop.run_in_executor(self._thread, self._try_database)
        done, _ = await asyncio.wait([self._asking], timeout=_DATABASE_WAIT_S)
        return self._asking.result() if done else _describe("database", "no answer in time")

    def _try_database(self) -> PartState:
        try:
            self._storage.database.check()
        except StorageError as error:
            return _describe("database", error.code)
        return _describe("database", "")


def _describe(name: str, reason: str) -> PartState:
    state = "failed" if reason else "ready"
    return PartState(name=name, is_ready=not reason, state=state, reason=reason)
