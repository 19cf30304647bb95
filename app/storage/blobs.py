"""Blobs: bytes named by their sha256, written aside, fsynced, then renamed into place.

A blob that `keep` has returned is on disk. Its name is the digest of its bytes and nothing else:
no UID, file name or other text of a sender ever becomes part of a path.
"""

import hashlib
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from errno import EDQUOT, ENOSPC
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Self

from app.errors import BlobCorrupt, BlobNotFound, BlobStoreUnavailable, StorageFull

_DIGEST = re.compile(r"[0-9a-f]{64}")
CHUNK_BYTES = 1024 * 1024
Bytes = bytes | memoryview
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """Bytes that are on disk."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BlobEntry:
    """A blob as the store lists it."""

    sha256: str
    size_bytes: int
    modified_at: datetime


class BlobDraft:
    """Bytes on their way into a store: hashed, held while they are few, then written aside.

    Leaving the `with` block without `keep` throws them away.
    """

    def __init__(self, store: "BlobStore", path: Path, *, is_new: bool = True) -> None:
        self._store = store
        self.path = path
        self._held: list[Bytes] = []
        self._held_bytes = 0
        self._descriptor: int | None = None
        self._hash = hashlib.sha256()
        self.size_bytes = 0
        self._synced_bytes: int | None = None
        if not is_new:
            self._take_over()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
        self._held.clear()
        self.path.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        """Digest of the bytes written so far."""
        return self._hash.hexdigest()

    def write(self, chunk: Bytes) -> None:
        """Append bytes; they must not change any more."""
        self._hash.update(chunk)
        self._held.append(chunk)
        self._held_bytes += len(chunk)
        self.size_bytes += len(chunk)
        if self._held_bytes >= CHUNK_BYTES:
            self._write_held()

    def flush(self) -> Path:
        """Give the path of the bytes written so far, for a decoder to look at."""
        self._write_held()
        if not self.path.is_file():
            raise BlobStoreUnavailable
        return self.path

    def sync(self) -> None:
        """Bring the bytes written so far to the disk, for a `keep` that has less to wait for."""
        descriptor = self._write_held()
        with translate_write_errors():
            os.fsync(descriptor)
        self._synced_bytes = self.size_bytes

    def keep(self) -> StoredBlob:
        """Put the bytes into the store; they are on disk when this returns."""
        blob = StoredBlob(self.sha256, self.size_bytes)
        if self._synced_bytes != self.size_bytes:
            self.sync()
        with translate_write_errors():
            self._close()
            self._store.adopt(self.path, blob)
        return blob

    def _take_over(self) -> None:
        with translate_write_errors(), self.path.open("rb") as file:
            self._hash = hashlib.file_digest(file, "sha256")
            self.size_bytes = file.tell()

    def _write_held(self) -> int:
        """Write aside what is held, and give the descriptor of the file."""
        with translate_write_errors():
            if self._descriptor is None:
                self._descriptor = os.open(self.path, _APPEND, 0o600)
            for chunk in self._held:
                _write_whole(self._descriptor, chunk)
        self._held.clear()
        self._held_bytes = 0
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _write_whole(descriptor: int, chunk: Bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


class BlobStore(ABC):
    """A place where blobs are kept."""

    def __init__(self, spool: Path) -> None:
        spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.spool = spool

    def draft(self) -> BlobDraft:
        """Begin a blob whose bytes come piece by piece."""
        return BlobDraft(self, self.spool / f"draft-{token_hex(16)}")

    def take_file(self, path: Path) -> BlobDraft:
        """Begin a blob with what a file on the disk of the spool holds; the file becomes ours."""
        return BlobDraft(self, path, is_new=False)

    def write(self, chunks: bytes | Iterable[bytes]) -> StoredBlob:
        """Keep bytes; they are on disk when this returns."""
        with self.draft() as draft:
            for chunk in (chunks,) if isinstance(chunks, bytes) else chunks:
                draft.write(chunk)
            return draft.keep()

    def read(self, sha256: str) -> bytes:
        """Give a blob whole, checked against its digest.

        Raises:
            BlobNotFound: there is none with this digest.
            BlobCorrupt: the stored bytes changed.
        """
        content = b"".join(self.read_chunks(sha256))
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BlobCorrupt
        return content

    def check(self, sha256: str) -> int:
        """Compare a blob with its digest and give its size, without holding it in memory."""
        digest, size_bytes = hashlib.sha256(), 0
        for chunk in self.read_chunks(sha256):
            digest.update(chunk)
            size_bytes += len(chunk)
        if digest.hexdigest() != sha256:
            raise BlobCorrupt
        return size_bytes

    @abstractmethod
    def adopt(self, path: Path, blob: StoredBlob) -> None:
        """Move a finished, fsynced draft into the store, durably; the same bytes twice are one."""

    @abstractmethod
    def exists(self, sha256: str) -> bool:
        """Tell whether the store holds a blob."""

    @abstractmethod
    def read_chunks(self, sha256: str) -> Iterator[bytes]:
        """Give a blob piece by piece, unchecked."""

    @abstractmethod
    def find_path(self, sha256: str) -> Path | None:
        """Give the local file of a blob when there is one."""

    @abstractmethod
    def delete(self, sha256: str) -> None:
        """Forget a blob; one that is not there is forgotten already."""

    @abstractmethod
    def list_blobs(self) -> Iterator[BlobEntry]:
        """List all blobs in no order."""

    @abstractmethod
    def find_free_bytes(self) -> int | None:
        """Tell how much room is left; None when the store does not know."""


def check_digest(sha256: str) -> str:
    """Give back a digest that has the form of one; everything else names no blob."""
    if not _DIGEST.fullmatch(sha256):
        raise BlobNotFound
    return sha256


@contextmanager
def translate_write_errors() -> Iterator[None]:
    """Do what `translate_disk_errors` does, for bytes that come: a lost folder is a lost store."""
    try:
        with translate_disk_errors():
            yield
    except BlobNotFound as error:
        raise BlobStoreUnavailable from error


@contextmanager
def translate_disk_errors() -> Iterator[None]:
    """Turn a full disk into `StorageFull` and other disk trouble into `BlobStoreUnavailable`."""
    try:
        yield
    except FileNotFoundError:
        raise BlobNotFound from None
    except OSError as error:
        if error.errno in {ENOSPC, EDQUOT}:
            raise StorageFull from error
        raise BlobStoreUnavailable from error
