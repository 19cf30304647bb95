"""Databases, stores and clocks of the service's tests; every test has its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.storage.database import Database, open_database
from app.storage.folder_store import FolderBlobStore
from app.storage.schema import migrate_database
from tests.builders.postgres import Cluster, find_binary, run_cluster
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL cluster of this test process."""
    if find_binary("initdb") is None or find_binary("postgres") is None:
        pytest.skip("no PostgreSQL server programs on this machine: apt-get install postgresql")
    with run_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_template(cluster: Cluster) -> str:
    """A migrated database to copy."""
    name = cluster.create()
    database = open_database(cluster.url(name), 1)
    migrate_database(database)
    database.close()
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file to copy."""
    path = tmp_path_factory.mktemp("template") / "aegle.db"
    database = open_database(f"sqlite:///{path}", 1)
    migrate_database(database)
    database.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without any table, in SQLite and in PostgreSQL."""
    if request.param == "sqlite":
        database = open_database(f"sqlite:///{tmp_path / 'empty.db'}", 5)
        yield database
        database.close()
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    name = cluster.create()
    database = open_database(cluster.url(name), 5)
    yield database
    database.close()
    cluster.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated database, in SQLite and in PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "aegle.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        database = open_database(f"sqlite:///{path}", 5)
        yield database
        database.close()
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    name = cluster.create(request.getfixturevalue("postgres_template"))
    database = open_database(cluster.url(name), 5)
    yield database
    database.close()
    cluster.drop(name)


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobStore:
    """An empty blob store in a folder."""
    return FolderBlobStore(tmp_path / "blobs")
