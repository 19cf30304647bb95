"""What a file, a folder or a zip holds: one source for each scan."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from models.decoding.archive import list_entries
from models.decoding.limits import DecodeLimits
from models.decoding.part import Part, read_head, read_part
from models.decoding.slice_header import SliceHeader, read_slice_header
from models.decoding.sniff import Format, is_text, sniff_format
from models.errors import DecodeError, NestedTooDeep, TooManyFrames, UnknownFormat

_SIDE_FILES = {"DICOMDIR", "THUMBS.DB"}
_LABEL_CHARACTERS = 200

_SeriesKey = tuple[str, tuple[int, int], tuple[float, ...] | None]


@dataclass(frozen=True, slots=True)
class ScanSource:
    """One scan that can be decoded, by `decode_series(source.parts, limits)`.

    `label` is its path (inside a zip after a colon), made printable.
    """

    label: str
    parts: tuple[Part, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Slice:
    label: str
    part: Part
    header: SliceHeader


def find_scans(source: Path | bytes, limits: DecodeLimits) -> Iterator[ScanSource]:
    """Find the scans that a file, a folder or a zip holds.

    Slices of one DICOM series that lie in one stack become one source; every other file is a
    source of its own, also one that will turn out broken. In folders and zips hidden files, plain
    text and DICOMDIR are passed over.

    Args:
        source: a path, or the bytes of a file.
        limits: bounds of listing; the number of files in a folder or zip is one of them.

    Raises:
        DecodeError: the folder or zip itself cannot be listed.
    """
    slices: list[_Slice] = []
    label = str(source) if isinstance(source, Path) else "scan"
    for name, part in _iterate_parts(label, source, limits):
        header = _read_header(part, limits)
        if header is None or header.position_mm is None:
            yield ScanSource(_make_printable(name), (part,))
        else:
            slices.append(_Slice(name, part, header))
    yield from _group_slices(slices)


def _iterate_parts(
    label: str, source: Path | bytes, limits: DecodeLimits
) -> Iterator[tuple[str, Part]]:
    if isinstance(source, Path) and source.is_dir():
        files = sorted(path for path in source.rglob("*") if path.is_file())
        if len(files) > limits.max_files:
            raise TooManyFrames(f"holds {len(files)} files, the limit is {limits.max_files}")
        for path in files:
            yield from _look_inside(str(path), path, limits, depth=0, is_listed=True)
    else:
        yield from _look_inside(label, source, limits, depth=0, is_listed=False)


def _look_inside(
    label: str, part: Part, limits: DecodeLimits, *, depth: int, is_listed: bool
) -> Iterator[tuple[str, Part]]:
    """Give the part itself, or the entries of the zip that it is."""
    head = read_head(part, limits)
    if is_listed and _is_side_file(label, head):
        return
    if _sniff(head) != "zip":
        yield label, part
        return
    if depth >= limits.max_archive_depth:
        raise NestedTooDeep(f"archives are nested deeper than {limits.max_archive_depth}")
    archive = part if isinstance(part, Path | bytes) else read_part(part, limits)
    for entry in list_entries(archive, limits):
        inner = f"{label}:{entry.name}"
        yield from _look_inside(inner, entry, limits, depth=depth + 1, is_listed=True)


def _is_side_file(label: str, head: bytes) -> bool:
    parts = label.replace("\\", "/").replace(":", "/").split("/")
    is_hidden = parts[-1].startswith(".") or "__MACOSX" in parts
    return is_hidden or parts[-1].upper() in _SIDE_FILES or is_text(head)


def _sniff(head: bytes) -> Format | None:
    try:
        return sniff_format(head)
    except UnknownFormat:
        return None


def _read_header(part: Part, limits: DecodeLimits) -> SliceHeader | None:
    """Read the DICOM header, None for another format or one that decoding will refuse."""
    try:
        return read_slice_header(read_part(part, limits), limits)
    except DecodeError:
        return None


def _group_slices(slices: Iterable[_Slice]) -> Iterator[ScanSource]:
    series: dict[_SeriesKey, list[_Slice]] = {}
    for found in slices:
        key = (found.header.series, found.header.size, found.header.direction)
        series.setdefault(key, []).append(found)
    for members in series.values():
        for stack in _split_stacks(members):
            label = stack[0].label
            if len(stack) > 1:
                label = f"{label} (+{len(stack) - 1} slices)"
            yield ScanSource(_make_printable(label), tuple(member.part for member in stack))


def _split_stacks(members: list[_Slice]) -> list[list[_Slice]]:
    """Split a series only where slices share a position, such as echoes or phases do."""
    if len({member.header.position_mm for member in members}) == len(members):
        return [members]
    stacks: dict[tuple[str, ...], list[_Slice]] = {}
    for member in members:
        stacks.setdefault(member.header.stack, []).append(member)
    return list(stacks.values())


def _make_printable(label: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in label)
    return shown[-_LABEL_CHARACTERS:]
