"""Blobs in a local folder: `ab/abcdef...`, one folder for each first byte of the digest."""

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from app.storage.blobs import (
    CHUNK_BYTES,
    BlobEntry,
    BlobStore,
    StoredBlob,
    check_digest,
    translate_disk_errors,
    translate_write_errors,
)
from app.storage.watermark import measure_folder


class FolderBlobStore(BlobStore):
    """A blob store in one folder of one disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().__init__(folder / "incoming")
        self.folder = folder
        # Made and fsynced once, so that a later rename needs to fsync one folder only.
        for first in range(256):
            (folder / f"{first:02x}").mkdir(exist_ok=True, mode=0o700)
        fsync_path(folder)
        fsync_path(folder.parent)

    def adopt(self, path: Path, blob: StoredBlob) -> None:
        """Rename a finished draft into place, then fsync its folder."""
        target = self._place(blob.sha256)
        with translate_write_errors():
            if target.is_file() and target.stat().st_size == blob.size_bytes:
                os.utime(target)  # young again: the collector leaves it alone
            else:
                path.chmod(0o400)
                path.replace(target)
            fsync_path(target.parent)

    def exists(self, sha256: str) -> bool:
        """Tell whether the folder holds a blob."""
        return self._place(sha256).is_file()

    def read_chunks(self, sha256: str) -> Iterator[bytes]:
        """Give a blob piece by piece, unchecked."""
        with translate_disk_errors(), self._place(sha256).open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def find_path(self, sha256: str) -> Path | None:
        """Give the file of a blob."""
        path = self._place(sha256)
        return path if path.is_file() else None

    def delete(self, sha256: str) -> None:
        """Remove the file of a blob."""
        with translate_disk_errors():
            self._place(sha256).unlink(missing_ok=True)

    def list_blobs(self) -> Iterator[BlobEntry]:
        """List the files of all blobs."""
        for folder in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            for entry in os.scandir(folder):
                if len(entry.name) == 64:
                    yield from _describe(entry)

    def find_free_bytes(self) -> int | None:
        """Tell how much room the disk has for us."""
        return measure_folder(self.folder)

    def _place(self, sha256: str) -> Path:
        check_digest(sha256)
        return self.folder / sha256[:2] / sha256


def _describe(entry: os.DirEntry[str]) -> Iterator[BlobEntry]:
    with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
        found = entry.stat()
        yield BlobEntry(entry.name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))


def fsync_path(path: Path) -> None:
    """Bring the bytes of a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
