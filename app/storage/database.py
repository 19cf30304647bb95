"""The database: SQLite in WAL mode or PostgreSQL, opened once, used in short transactions.

Sync, not async: queries take milliseconds, routes that use them run in the thread pool, and the
engine, the listener and the commands have no event loop. A transaction belongs to one `with` block
in one thread: it is never held over an await or over two dependencies, where forty waiting
threads could starve the one that would release it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from app.errors import DatabaseUnavailable, StorageFull

WRITER_WAIT_S = 30.0
_FULL = {"SQLITE_FULL", "53100"}
_BUGS = {"SQLITE_ERROR", "SQLITE_MISUSE", "SQLITE_RANGE"}  # SQL that is wrong, not a lost database
_WRITES = "aegle_writes"


class Database:
    """An open database; hands out sessions, one transaction each."""

    def __init__(self, engine: Engine, writer: Engine | None = None) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.writer = (writer or engine).execution_options(**{_WRITES: True})
        # SQLite has one writer at a time. Waiting here is in order and wakes at once; waiting
        # inside SQLite polls, and a busy service would let some writers wait for seconds.
        self._turn = Lock()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session whose work is committed at the end of the block, or not at all.

        Raises:
            DatabaseUnavailable: it cannot be reached, or the wait for a turn is too long.
            StorageFull: there is no room for the change.
        """
        with (
            self._take_turn(),
            _translate(),
            Session(self.writer, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session that sees one moment of the database and keeps no change.

        Rows that were read stay usable after the block.
        """
        with _translate(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Give a bare connection inside a writing transaction, for migrations."""
        with self._take_turn(), _translate(), self.writer.begin() as connection:
            yield connection

    def check(self) -> None:
        """Ask the database for an answer."""
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close all connections."""
        self.writer.dispose()
        self.engine.dispose()

    @contextmanager
    def _take_turn(self) -> Iterator[None]:
        if not self.is_sqlite:
            yield
            return
        if not self._turn.acquire(timeout=WRITER_WAIT_S):
            raise DatabaseUnavailable("the database is busy", retry_after_s=5)
        try:
            yield
        finally:
            self._turn.release()


def open_database(url: str, pool_size: int, password: str | None = None) -> Database:
    """Open a database by its address: `sqlite:///path` or `postgresql://...`.

    Args:
        url: the address; a password in it wins over `password`.
        pool_size: how many connections are kept open.
        password: for an address that holds none.
    """
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        # What a connection has read is stale once another has written: one alone writes.
        return Database(_create_sqlite(address, pool_size), _create_sqlite(address, 1))
    secret = address.password or password
    address = address.set(drivername="postgresql+psycopg", password=secret)
    engine = create_engine(
        address,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        pool_timeout=WRITER_WAIT_S,
        connect_args={"connect_timeout": 5, "application_name": "aegle"},
        hide_parameters=True,
    )
    return Database(engine)


def _create_sqlite(address: URL, pool_size: int) -> Engine:
    if address.database is not None:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(
        address,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=WRITER_WAIT_S,
        pool_use_lifo=True,
        connect_args={"timeout": WRITER_WAIT_S, "check_same_thread": False},
        hide_parameters=True,
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own BEGIN comes late and never for reads: we send ours (see _begin_sqlite).
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # a commit that was answered survives a power cut
        "foreign_keys=ON",
        "trusted_schema=OFF",
        "cache_size=-65536",
        "mmap_size=268435456",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A deferred transaction that turns from reading to writing may fail at once when another
    # wrote meanwhile, whatever the timeout; a writer says so at its beginning.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translate() -> Iterator[None]:
    try:
        yield
    except PoolTimeout:
        raise DatabaseUnavailable(retry_after_s=5) from None
    except OperationalError as error:
        code = _find_code(_find_first(error))
        if code in _FULL:
            raise StorageFull from error
        if code in _BUGS:
            raise
        raise DatabaseUnavailable(retry_after_s=5) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable(retry_after_s=5) from error
        raise


def _find_code(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None)


def _find_first(error: OperationalError) -> OperationalError:
    """Give the error that began it: a full disk ends SQLite's transaction, and savepoints after."""
    first, context = error, error.__context__
    while context is not None:
        first = context if isinstance(context, OperationalError) else first
        context = context.__context__
    return first
