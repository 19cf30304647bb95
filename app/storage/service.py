"""Keeping blobs and their rows in step: register, collect, verify.

How a blob and the collector cannot miss each other: an upload writes the file first, then takes the
row (`register_blob`), then looks whether the file is still there. The collector takes the row,
deletes it and the file, then commits. Whoever has the row lock goes first; the other sees it.
"""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy.orm import Session

from app.errors import BlobCorrupt, BlobNotFound
from app.storage.blobs import BlobStore, StoredBlob
from app.storage.database import Database
from app.storage.repository import BlobRepository

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Collection:
    """What a round of the collector removed."""

    blob_count: int
    freed_bytes: int
    draft_count: int


@dataclass(frozen=True, slots=True)
class BlobFault:
    """A blob that is not as its row says: `missing`, `corrupt` or `size`."""

    sha256: str
    fault: str


def register_blob(session: Session, store: BlobStore, blob: StoredBlob, at: datetime) -> None:
    """Take the row of a kept blob inside the transaction of what refers to it.

    Raises:
        BlobNotFound: the collector was faster; the caller keeps the bytes again and tries again.
    """
    register_blobs(session, store, [blob], at)


def register_blobs(
    session: Session, store: BlobStore, blobs: Sequence[StoredBlob], at: datetime
) -> None:
    """Take the rows of several kept blobs, as `register_blob` does of one; in the order given."""
    BlobRepository(session).touch(blobs, at)
    session.flush()
    if not all(store.exists(blob.sha256) for blob in blobs):
        raise BlobNotFound


def collect_blobs(database: Database, store: BlobStore, before: datetime) -> Collection:
    """Remove blobs that nothing refers to and nobody touched since `before`, one by one."""
    _adopt_strays(database, store, before)
    with database.reading() as session:
        candidates = BlobRepository(session).list_unreferenced(before)
    removed = [blob for blob in candidates if _remove(database, store, blob.sha256, before)]
    drafts = _remove_drafts(store, before)
    result = Collection(len(removed), sum(blob.size_bytes for blob in removed), drafts)
    _LOG.info("collected blobs", extra={"fields": {"blobs": result.blob_count}})
    return result


def verify_blobs(database: Database, store: BlobStore) -> Iterator[BlobFault | None]:
    """Read every registered blob and compare it with its digest; None for one that is right."""
    with database.reading() as session:
        for blob in BlobRepository(session).stream_blobs():
            yield _find_fault(store, blob)


def _find_fault(store: BlobStore, blob: StoredBlob) -> BlobFault | None:
    try:
        size_bytes = store.check(blob.sha256)
    except BlobNotFound:
        return BlobFault(blob.sha256, "missing")
    except BlobCorrupt:
        return BlobFault(blob.sha256, "corrupt")
    return None if size_bytes == blob.size_bytes else BlobFault(blob.sha256, "size")


def _adopt_strays(database: Database, store: BlobStore, before: datetime) -> None:
    # A file without row is left by an upload that broke off. With a row it can be locked.
    old = (entry for entry in store.list_blobs() if entry.modified_at < before)
    while entries := list(islice(old, 500)):
        with database.transaction() as session:
            repository = BlobRepository(session)
            for entry in entries:
                repository.adopt(StoredBlob(entry.sha256, entry.size_bytes), entry.modified_at)


def _remove(database: Database, store: BlobStore, sha256: str, before: datetime) -> bool:
    with database.transaction() as session:
        is_forgotten = BlobRepository(session).forget(sha256, before)
        if is_forgotten:
            store.delete(sha256)
    return is_forgotten


def _remove_drafts(store: BlobStore, before: datetime) -> int:
    removed = 0
    for path in store.spool.glob("draft-*"):
        with contextlib.suppress(FileNotFoundError):  # kept or thrown away since it was listed
            if path.stat().st_mtime < before.timestamp():
                path.unlink()
                removed += 1
    return removed
