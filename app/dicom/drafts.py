"""Objects on their way in: as DICOM files, with a preamble that says nothing.

The first 128 bytes of a file are free for any use, and a program can hide in them
(CVE-2019-11687): they are always zeroed. Objects that come without them, or without meta
information, get both, so that whatever is kept is a DICOM file.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from app.dicom.header import ObjectHeader
from app.storage.blobs import CHUNK_BYTES, BlobDraft, BlobStore

_PREAMBLE = bytes(128)
_PREFIX = b"DICM"
_HEAD_BYTES = len(_PREAMBLE) + len(_PREFIX)
_META_GROUP = b"\x02\x00"


class ObjectDraft:
    """The bytes of one object, written aside; `has_meta` once enough of them came to tell.

    With `is_file` they lie there already, behind a preamble of our own.
    """

    def __init__(self, draft: BlobDraft, *, is_file: bool = False) -> None:
        self.blob = draft
        self.has_meta = is_file
        self._head: bytes | None = None if is_file else b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.blob.__exit__(kind, error, trace)

    def write(self, chunk: bytes) -> None:
        """Append bytes; the first ones wait until the preamble is told from data."""
        if self._head is None:
            self.blob.write(chunk)
            return
        self._head = self._head + chunk if self._head else chunk
        if len(self._head) >= _HEAD_BYTES:
            self._write_head()

    def finish(self) -> Path:
        """Give the path of all bytes, for a reader to look at."""
        if self._head is not None:
            self._write_head()
        return self.blob.flush()

    def _write_head(self) -> None:
        head, self._head = self._head or b"", None
        self.has_meta = has_meta_information(head)
        if head[len(_PREAMBLE) : _HEAD_BYTES] == _PREFIX:
            self.blob.write(_PREAMBLE)
            self.blob.write(memoryview(head)[len(_PREAMBLE) :])
            return
        if self.has_meta:
            self.blob.write(_PREAMBLE + _PREFIX)
        self.blob.write(head)


def has_meta_information(head: bytes) -> bool:
    """Tell by its first bytes whether a file has meta information."""
    return head[len(_PREAMBLE) : _HEAD_BYTES] == _PREFIX or head.startswith(_META_GROUP)


def is_kept_as_it_is(head: bytes) -> bool:
    """Tell by its first bytes whether a file has a preamble that says nothing."""
    return head.startswith(_PREAMBLE + _PREFIX)


def add_meta(store: BlobStore, source: Path, header: ObjectHeader) -> BlobDraft:
    """Write a bare data set again as a file, with preamble and meta information."""
    draft = store.draft()
    draft.write(_PREAMBLE + _PREFIX + _build_meta(header))
    for chunk in _read_chunks(source):
        draft.write(chunk)
    draft.flush()
    return draft


def _build_meta(header: ObjectHeader) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(header.identity.sop_class_uid or "")
    meta.MediaStorageSOPInstanceUID = UID(header.identity.sop_uid or "")
    meta.TransferSyntaxUID = UID(header.transfer_syntax_uid)
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta)
    return bytes(buffer.getvalue())


def _read_chunks(source: Path) -> Iterator[bytes]:
    with source.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
