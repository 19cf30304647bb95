"""Whether two DICOM files are one object: their data sets are equal, whatever wrote the rest."""

import hashlib
from collections.abc import Iterator

from app.storage.blobs import BlobStore

_BEFORE_META = 132
_GROUP_LENGTH_BYTES = 12


def is_same_object(store: BlobStore, one: str, other: str) -> bool:
    """Compare two kept files without preamble and meta information, which each way writes anew."""
    return one == other or _digest_dataset(store, one) == _digest_dataset(store, other)


def _digest_dataset(store: BlobStore, sha256: str) -> str:
    digest = hashlib.sha256()
    for chunk in _skip_meta(store.read_chunks(sha256)):
        digest.update(chunk)
    return digest.hexdigest()


def _skip_meta(chunks: Iterator[bytes]) -> Iterator[bytes]:
    head = next(chunks, b"")
    # (0002,0000) is first, UL: the length of the rest of the group (PS3.10 7.1).
    length = int.from_bytes(head[_BEFORE_META + 8 : _BEFORE_META + _GROUP_LENGTH_BYTES], "little")
    yield head[_BEFORE_META + _GROUP_LENGTH_BYTES + length :]
    yield from chunks
