"""Zip archives, read entry by entry in memory; nothing is ever written under a name from inside."""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from models.decoding.foreign import translate_foreign
from models.decoding.limits import DecodeLimits
from models.errors import CorruptScan, TooManyBytes, TooManyFrames, UnsupportedEncoding

_CHUNK_BYTES = 1 << 20
_ENCRYPTED_FLAG = 0x1


@dataclass(frozen=True, slots=True)
class ZipPart:
    """One entry of an archive, inflated when it is asked for.

    `archive` is the zip, `name` the entry's, `limit` the bytes it declared when it was listed.
    """

    archive: Path | bytes = field(repr=False)
    name: str
    limit: int

    def read(self) -> bytes:
        """Inflate this entry, refusing more bytes than it declares."""
        with translate_foreign("the zip archive"), _open_archive(self.archive) as archive:
            return _inflate_entry(archive, archive.getinfo(self.name), self.limit)


def list_entries(archive: Path | bytes, limits: DecodeLimits) -> Iterator[ZipPart]:
    """List the files of an archive, after all of its directory was held against the limits.

    Args:
        archive: the zip, on disk or in memory.
        limits: bounds of entries, of inflated bytes and of the ratio of inflation.

    Raises:
        CorruptScan: broken, or an entry's name leads out of the archive.
        TooManyFrames: more entries than `max_files`.
        TooManyBytes: the entries inflate to too much.
        UnsupportedEncoding: encrypted entries.
    """
    with translate_foreign("the zip archive"), _open_archive(archive) as opened:
        entries = opened.infolist()
        if len(entries) > limits.max_files:
            raise TooManyFrames(f"holds {len(entries)} files, the limit is {limits.max_files}")
        size = archive.stat().st_size if isinstance(archive, Path) else len(archive)
        _check_entries(entries, size, limits)
    for entry in entries:
        if not entry.is_dir():
            yield ZipPart(archive, entry.filename, entry.file_size)


def _open_archive(archive: Path | bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(archive if isinstance(archive, Path) else io.BytesIO(archive))


def _check_entries(entries: list[zipfile.ZipInfo], size: int, limits: DecodeLimits) -> None:
    names = {entry.filename for entry in entries}
    if len(names) < len(entries):
        raise CorruptScan("two entries of the archive have one name")
    for entry in entries:
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in entry.filename[:2]:
            raise CorruptScan("the name of an entry leads out of the archive")
        if entry.flag_bits & _ENCRYPTED_FLAG:
            raise UnsupportedEncoding("the archive is encrypted")
    inflated = sum(entry.file_size for entry in entries)
    if inflated > limits.max_inflated_bytes or inflated > size * limits.max_inflation_ratio:
        raise TooManyBytes(
            f"the archive of {size} bytes inflates to {inflated}, the limits are"
            f" {limits.max_inflated_bytes} and {limits.max_inflation_ratio} times its size"
        )
    if sum(entry.compress_size for entry in entries) > size:
        raise CorruptScan("the entries of the archive overlap")


def _inflate_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes:
    pieces: list[bytes] = []
    total = 0
    with archive.open(entry) as stream:
        while piece := stream.read(_CHUNK_BYTES):
            total += len(piece)
            if total > limit:
                raise TooManyBytes(f"an entry inflates to more than the {limit} bytes it declares")
            pieces.append(piece)
    return b"".join(pieces)
