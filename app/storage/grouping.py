"""Group commit: works that come at the same time share one transaction, and so one fsync.

Whoever comes while nobody commits leads: it runs its own work and that of all who came meanwhile,
each in a savepoint of its own, and commits once. The others wait for the outcome of theirs.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar, cast

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.storage.database import Database

MAX_WORKS = 32

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    work: Callable[[Session], Any]
    future: "Future[Any]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a work gave or raised, once it is committed."""

    value: Any = None
    error: Exception | None = None


class GroupedWriter:
    """Runs short works that write; each is on disk when `run` returns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = Lock()
        self._waiting: list[_Entry] = []
        self._lock = Lock()

    def run(self, work: Callable[[Session], Result]) -> Result:
        """Run a work in a transaction and give its result after the commit.

        Whatever the work raises undoes that work alone, and is raised here.
        """
        entry = _Entry(work)
        with self._lock:
            self._waiting.append(entry)
        with self._turn:
            if not entry.future.done():
                self._commit(self._take(entry))
        return cast(Result, entry.future.result())

    def _take(self, own: _Entry) -> list[_Entry]:
        with self._lock:
            taken = self._waiting[:MAX_WORKS]
            if own not in taken:
                taken[-1] = own
            self._waiting = [entry for entry in self._waiting if entry not in taken]
        return taken

    def _commit(self, entries: Sequence[_Entry]) -> None:
        try:
            with self._database.transaction() as session:
                outcomes = [_try(session, entry) for entry in entries]
        except Exception as error:  # noqa: BLE001 - told to everybody whose work was not committed
            for entry in entries:
                entry.future.set_exception(error)
            return
        for entry, outcome in zip(entries, outcomes, strict=True):
            if outcome.error is None:
                entry.future.set_result(outcome.value)
            else:
                entry.future.set_exception(outcome.error)


def _try(session: Session, entry: _Entry) -> _Outcome:
    try:
        with session.begin_nested():
            return _Outcome(entry.work(session))
    except OperationalError:  # the database itself: nothing of this transaction can be trusted
        raise
    except Exception as error:  # noqa: BLE001 - raised again where the work was handed in
        return _Outcome(error=error)
