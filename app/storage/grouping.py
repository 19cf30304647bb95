"""Group commit: what comes at the same time shares one transaction, and so one fsync.

Whoever comes while nobody commits leads: it writes its own and that of all who came meanwhile, and
commits once. The others wait for the outcome of theirs; one of those who came too late leads next.
"""

from collections.abc import Callable, Sequence
from threading import Event, Lock
from typing import Any, Generic, TypeVar, cast

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.storage.database import Database

MAX_WORKS = 32

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Undone(Exception):
    """One of several items could not be written, so none is."""

    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self.reason = reason


class _Entry(Generic[Item]):
    """What waits to be written; `woken` when it is done, or when its thread is to lead."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.woken = Event()
        self.is_done = False
        self.value: Any = None
        self.error: Exception | None = None

    def settle(self, value: Any, error: Exception | None = None) -> None:  # noqa: ANN401 - any
        self.value, self.error, self.is_done = value, error, True


class BatchWriter(Generic[Item, Result]):
    """Writes items that come together at once; each is on disk when `run` returns.

    `write` gives a result for every item. Where it raises, each is written alone.
    """

    def __init__(
        self, database: Database, write: Callable[[Session, Sequence[Item]], Sequence[Result]]
    ) -> None:
        self._database = database
        self._write = write
        self._waiting: list[_Entry[Item]] = []
        self._is_led = False
        self._lock = Lock()

    def run(self, item: Item) -> Result:
        """Write an item in a transaction and give its result after the commit.

        What is raised for an item undoes that item alone, and is raised here.
        """
        entry = _Entry(item)
        with self._lock:
            self._waiting.append(entry)
            leads, self._is_led = not self._is_led, True
        if not leads:
            entry.woken.wait()
        if not entry.is_done:
            self._lead()
        if entry.error is not None:
            raise entry.error
        return cast(Result, entry.value)

    def _lead(self) -> None:
        with self._lock:
            taken, self._waiting = self._waiting[:MAX_WORKS], self._waiting[MAX_WORKS:]
        try:
            self._commit(taken)
        finally:
            with self._lock:
                self._is_led = bool(self._waiting)
                if self._is_led:
                    self._waiting[0].woken.set()
            for entry in taken:
                entry.woken.set()

    def _commit(self, entries: Sequence[_Entry[Item]]) -> None:
        try:
            with self._database.transaction() as session:
                values = self._write_all(session, entries)
        except _Undone as undone:
            if len(entries) > 1:
                self._commit_each(entries)
            else:
                _fail(entries, undone.reason)
        except Exception as error:  # noqa: BLE001 - told to everybody whose item was not committed
            _fail(entries, error)
        else:
            for entry, value in zip(entries, values, strict=True):
                entry.settle(value)

    def _write_all(self, session: Session, entries: Sequence[_Entry[Item]]) -> Sequence[Result]:
        try:
            return self._write(session, [entry.item for entry in entries])
        except OperationalError:  # the database itself: nobody's own fault
            raise
        except Exception as error:
            raise _Undone(error) from error

    def _commit_each(self, entries: Sequence[_Entry[Item]]) -> None:
        try:
            with self._database.transaction() as session:
                for entry in entries:
                    self._try(session, entry)
        except Exception as error:  # noqa: BLE001 - told to everybody whose item was not committed
            _fail(entries, error)

    def _try(self, session: Session, entry: _Entry[Item]) -> None:
        try:
            with session.begin_nested():
                (value,) = self._write(session, [entry.item])
        except OperationalError:  # nothing of this transaction can be trusted
            raise
        except Exception as error:  # noqa: BLE001 - raised again where the item was handed in
            entry.settle(None, error)
        else:
            entry.settle(value)


class GroupedWriter(BatchWriter[Callable[[Session], Any], Any]):
    """Runs short works that write; each is on disk when `run` returns.

    A work may run twice, the first time undone.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database, lambda session, works: [work(session) for work in works])

    def run(self, item: Callable[[Session], Result]) -> Result:
        """Run a work in a transaction and give its result after the commit."""
        return cast(Result, super().run(item))


def _fail(entries: Sequence[_Entry[Item]], error: Exception) -> None:
    for entry in entries:
        entry.settle(None, error)
