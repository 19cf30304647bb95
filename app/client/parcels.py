"""What lies under paths, as it is sent: files and zips as they are, slices series by series."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from models.decoding.limits import MEBI, DecodeLimits
from models.decoding.listing import is_side_file
from models.decoding.part import read_head
from models.decoding.series import group_parts
from models.errors import DecodeError

# A file above this is no slice of a series: it is sent without a look at its header.
_LIMITS = DecodeLimits(max_bytes=64 * MEBI)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that may be a scan, and its size."""

    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """The files of one upload, or a folder that holds no scan. `label` is printable."""

    label: str
    files: tuple[Path, ...] = field(repr=False)


def list_files(paths: Iterable[Path], passed_over: list[Path] | None = None) -> list[FoundFile]:
    """List files and what folders hold, each once; a path that leads nowhere stays in the list.

    Args:
        paths: files and folders; in folders hidden files, plain text and DICOMDIR are passed over.
        passed_over: takes the paths of those.
    """
    found: dict[str, FoundFile] = {}
    passed_over = [] if passed_over is None else passed_over
    for path in paths:
        for member in _walk(path, passed_over) or [path]:
            size = member.stat().st_size if member.is_file() else 0
            found.setdefault(os.path.abspath(member), FoundFile(member, size))  # noqa: PTH100 - keeps links
    return list(found.values())


def find_parcels(files: Iterable[FoundFile]) -> Iterator[Parcel]:
    """Group files: what is no slice of a series comes at once, the series when all were seen."""
    named = ((str(file.path), file.path) for file in files)
    for source in group_parts(named, _LIMITS):
        yield Parcel(source.label, tuple(part for part in source.parts if isinstance(part, Path)))


def _walk(folder: Path, passed_over: list[Path]) -> list[Path]:
    members = sorted(folder.rglob("*")) if folder.is_dir() else []
    found: list[Path] = []
    for path in members:
        if path.is_file():
            (passed_over if _is_passed_over(path) else found).append(path)
    return found


def _is_passed_over(path: Path) -> bool:
    try:
        return is_side_file(path.name, read_head(path, _LIMITS))
    except DecodeError:
        return False  # a file that cannot be opened is told, not passed over
