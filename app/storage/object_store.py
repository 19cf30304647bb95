"""Blobs in an S3-compatible store, through obstore.

A put is durable and whole when the store has answered it; a draft is first spooled to a local
folder, so that its digest is known before the first byte is sent.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store

from app.errors import BlobNotFound, BlobStoreUnavailable
from app.storage.blobs import CHUNK_BYTES, BlobEntry, BlobStore, StoredBlob, check_digest

if TYPE_CHECKING:
    from obstore.store import S3Config  # exists for type checkers alone

_REQUEST_WAIT = timedelta(minutes=20)  # the whole of a large blob over a slow line
_SILENCE_WAIT = timedelta(seconds=30)  # no byte for so long
_RETRY_WAIT = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class S3Access:
    """Where the store is and how it is entered; keys are taken from AWS_... when not given."""

    url: str
    endpoint: str | None
    region: str
    access_key: str | None
    secret_key: str | None


class ObjectBlobStore(BlobStore):
    """A blob store behind an object store."""

    def __init__(self, objects: ObjectStore, spool: Path) -> None:
        super().__init__(spool)
        self.objects = objects

    def adopt(self, path: Path, blob: StoredBlob) -> None:
        """Send a finished draft, unless the store holds the same bytes."""
        with _translate():
            obstore.put(self.objects, _name(blob.sha256), path)

    def exists(self, sha256: str) -> bool:
        """Ask the store for a blob."""
        name = _name(sha256)
        try:
            with _translate():
                obstore.head(self.objects, name)
        except BlobNotFound:
            return False
        return True

    def read_chunks(self, sha256: str) -> Iterator[bytes]:
        """Give a blob piece by piece, unchecked."""
        with _translate():
            for chunk in obstore.get(self.objects, _name(sha256)).stream(
                min_chunk_size=CHUNK_BYTES
            ):
                yield bytes(chunk)

    def find_path(self, sha256: str) -> Path | None:
        """Give None: a blob of this store has no local file."""
        check_digest(sha256)
        return None

    def delete(self, sha256: str) -> None:
        """Remove a blob from the store."""
        name = _name(sha256)
        try:
            with _translate():
                obstore.delete(self.objects, name)
        except BlobNotFound:
            return

    def list_blobs(self) -> Iterator[BlobEntry]:
        """List the blobs of the store."""
        with _translate():
            for batch in obstore.list(self.objects):
                for entry in batch:
                    name = entry["path"].rpartition("/")[2]
                    if len(name) == 64:
                        yield BlobEntry(name, entry["size"], entry["last_modified"])

    def find_free_bytes(self) -> int | None:
        """Give None: object stores do not tell."""
        return None


def open_s3_store(access: S3Access, spool: Path) -> ObjectBlobStore:
    """Open the store named by `s3://bucket/prefix`."""
    config: S3Config = {"region": access.region}
    if access.access_key is not None and access.secret_key is not None:
        config["access_key_id"] = access.access_key
        config["secret_access_key"] = access.secret_key
    if access.endpoint is not None:
        config["endpoint"] = access.endpoint
    is_plain = access.endpoint is not None and access.endpoint.startswith("http://")
    objects = S3Store.from_url(
        access.url,
        config=config,
        client_options={
            "timeout": _REQUEST_WAIT,
            "read_timeout": _SILENCE_WAIT,
            "allow_http": is_plain,
        },
        retry_config={"max_retries": 5, "retry_timeout": _RETRY_WAIT},
    )
    return ObjectBlobStore(objects, spool)


def _name(sha256: str) -> str:
    check_digest(sha256)
    return f"{sha256[:2]}/{sha256}"


@contextmanager
def _translate() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise BlobNotFound from None
    except (BaseError, OSError) as error:
        raise BlobStoreUnavailable from error
