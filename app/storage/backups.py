"""Copies of the embedded storage: of the database before a migration, of everything on demand.

A backup of everything has the form of a data folder: it is verified, collected and served as one.
"""

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.errors import BlobNotFound, DatabaseUnavailable, StorageFull
from app.storage.blobs import BlobStore, StoredBlob, translate_disk_errors
from app.storage.database import Database, open_database
from app.storage.folder_store import FolderBlobStore, fsync_path
from app.storage.repository import BlobRepository

DATABASE_NAME = "aegle.db"
KEPT = 5
_BUNDLE = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup of everything added to its folder, and which blobs it could not copy."""

    blob_count: int
    copied_bytes: int
    faulty: tuple[str, ...]


def keep_database(database: Database, folder: Path, revision: str, at: datetime) -> Path:
    """Copy a SQLite database aside, and forget the oldest of more than a few such copies."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = folder / f"aegle-{at:%Y%m%dT%H%M%SZ}-{revision}.db"
    copy_database(database, place)
    for old in sorted(folder.glob("aegle-*.db"))[:-KEPT]:
        old.unlink()
    return place


def copy_database(database: Database, place: Path) -> None:
    """Copy a SQLite database as it is at one moment, while others use it, into one file.

    Raises:
        StorageFull: there is no room for the copy.
        DatabaseUnavailable: the copy cannot be made, or is not sound.
    """
    aside = place.with_name(f"{place.name}.part")
    aside.unlink(missing_ok=True)
    try:
        with _translate():
            _copy_pages(Path(str(database.engine.url.database)), aside)
        with translate_disk_errors():
            fsync_path(aside)
            aside.replace(place)
            fsync_path(place.parent)
    finally:
        aside.unlink(missing_ok=True)


def back_up(database: Database, blobs: BlobStore, bundles: Path, folder: Path) -> Backup:
    """Bring a folder to the state of database, blobs and bundles; what it has is not copied again.

    Args:
        database: a SQLite database.
        blobs: the store that its rows tell of.
        bundles: folder with a folder a bundle, named by its digest.
        folder: the backup; empty, or an earlier backup.

    Returns:
        What was added. Blobs that the store lost, or whose bytes changed, are named.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    copy_database(database, folder / DATABASE_NAME)
    _copy_bundles(bundles, folder / "bundles")
    target = FolderBlobStore(folder / "blobs")
    copied = copied_bytes = 0
    faulty: list[str] = []
    for blob in _list_registered(folder / DATABASE_NAME):
        if target.exists(blob.sha256):
            continue
        if _copy_blob(blobs, target, blob.sha256):
            copied += 1
            copied_bytes += blob.size_bytes
        else:
            faulty.append(blob.sha256)
    return Backup(copied, copied_bytes, tuple(faulty))


def _copy_pages(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as reader, closing(sqlite3.connect(target)) as writer:
        reader.backup(writer)
        writer.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
        if writer.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise DatabaseUnavailable("the copy of the database is not sound")


def _list_registered(place: Path) -> Iterator[StoredBlob]:
    # Of the copy, not of the original: what came since has no row in it.
    database = open_database(f"sqlite:///{place}", 1)
    try:
        with database.reading() as session:
            yield from BlobRepository(session).stream_blobs()
    finally:
        database.close()


def _copy_blob(source: BlobStore, target: BlobStore, sha256: str) -> bool:
    with target.draft() as draft:
        try:
            for chunk in source.read_chunks(sha256):
                draft.write(chunk)
        except BlobNotFound:
            return False
        if draft.sha256 != sha256:
            return False
        draft.keep()
    return True


def _copy_bundles(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True, mode=0o700)
    for bundle in source.glob("*"):
        place = target / bundle.name
        if not _BUNDLE.fullmatch(bundle.name) or place.exists():
            continue
        aside = target / f"{bundle.name}.part"
        with translate_disk_errors():
            shutil.rmtree(aside, ignore_errors=True)
            shutil.copytree(bundle, aside)
            for path in aside.rglob("*"):
                fsync_path(path)
            aside.replace(place)
            fsync_path(target)


@contextmanager
def _translate() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if error.sqlite_errorname == "SQLITE_FULL":
            raise StorageFull from error
        raise DatabaseUnavailable("the database cannot be copied") from error
