"""Files that belong together to one volume: found, sorted by position, decoded."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.decoding.frame_check import check_frames
from models.decoding.limits import DecodeLimits
from models.decoding.listing import list_parts
from models.decoding.part import Part, read_head, read_part
from models.decoding.scan import DecodedScan, UnreadFile
from models.decoding.single import decode_single
from models.decoding.slice_header import SliceHeader, group_slices, read_slice_header
from models.decoding.sniff import sniff_format
from models.decoding.stack import SliceStack
from models.errors import DecodeError, MixedSeries

_LABEL_CHARACTERS = 200


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


@dataclass(frozen=True, slots=True)
class _Slot:
    """A file, its place among those handed in and, for DICOM, what its header says."""

    index: int
    part: Part
    header: SliceHeader | None


def find_scans(
    source: Path | bytes, limits: DecodeLimits, passed_over: list[str] | None = None
) -> Iterator[ScanSource]:
    """Find the scans that a file, a folder or a zip holds.

    Slices of one DICOM series that lie in one stack become one source; every other file is a
    source of its own, also one that will turn out broken. In folders and zips hidden files, plain
    text and DICOMDIR are passed over.

    Args:
        source: a path, or the bytes of a file.
        limits: bounds of listing; the number of files in a folder or zip is one of them.
        passed_over: takes the labels of the files that are passed over.

    Raises:
        DecodeError: the folder or zip itself cannot be listed.
    """
    yield from group_parts(list_parts(source, limits, passed_over), limits)


def group_parts(named: Iterable[tuple[str, Part]], limits: DecodeLimits) -> Iterator[ScanSource]:
    """Group files as `find_scans` does: what is no slice at once, series when all were seen.

    Args:
        named: label and file; files that cannot be read are sources of their own.
        limits: a file above `max_bytes` is no slice, and is not read.
    """
    slices: list[_Slice] = []
    for name, part in named:
        header = _read_header(part, limits)
        if header is None or header.position_mm is None:
            yield ScanSource(_make_printable(name), (part,))
        else:
            slices.append(_Slice(name, part, header))
    yield from _group_slices(slices)


def decode_series(parts: Sequence[Part], limits: DecodeLimits) -> DecodedScan:
    """Decode the slices of one volume.

    Args:
        parts: files, in any order for DICOM; pictures keep this order. One file alone is decoded
            as it is.
        limits: bounds of the whole volume; `max_unread_share` of the files may give no slice, and
            are then told by `unread`.

    Returns:
        `sha256` is that of the sorted digests of all slices, so that a folder and a zip of one
        series have the same.

    Raises:
        MixedSeries: the files do not make one volume.
        DecodeError: one of them cannot be decoded, or more than may.
    """
    if len(parts) == 1:
        return decode_single(read_part(parts[0], limits), limits)
    check_frames(1, 1, len(parts), limits)
    unread = _UnreadFiles(int(limits.max_unread_share * len(parts)))
    slots = []
    for index, part in enumerate(parts):
        with unread.noting(index):
            slots.append(_read_slot(index, part, limits))
    slices = SliceStack(limits, len(slots))
    for slot in _sort_slots(slots):
        with unread.noting(slot.index):
            scan = decode_single(read_part(slot.part, limits), limits)
        if not unread.holds(slot.index):
            slices.add(scan, slot.index)
    return slices.build(unread.list_all())


class _UnreadFiles:
    """Files that give no slice, up to as many as may."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[int, UnreadFile] = {}

    @contextmanager
    def noting(self, index: int) -> Iterator[None]:
        """Note a file that cannot be read; one too many is an error."""
        try:
            yield
        except DecodeError as error:
            self._found[index] = UnreadFile(index, error.code)
            if len(self._found) > self._most:
                raise

    def holds(self, index: int) -> bool:
        """Tell whether a file is one of them."""
        return index in self._found

    def list_all(self) -> tuple[UnreadFile, ...]:
        """Give all, in the order of the files."""
        return tuple(self._found[index] for index in sorted(self._found))


def _read_header(part: Part, limits: DecodeLimits) -> SliceHeader | None:
    """Read the DICOM header, None for another format or one that decoding will refuse."""
    try:
        if isinstance(part, Path) and sniff_format(read_head(part, limits)) != "dicom":
            return None  # a large picture is not read to learn that it is one
        return read_slice_header(read_part(part, limits), limits)
    except DecodeError:
        return None


def _group_slices(slices: Sequence[_Slice]) -> Iterator[ScanSource]:
    for members in group_slices([found.header for found in slices]):
        stack = [slices[index] for index in members]
        label = stack[0].label
        if len(stack) > 1:
            label = f"{label} (+{len(stack) - 1} slices)"
        yield ScanSource(_make_printable(label), tuple(member.part for member in stack))


def _make_printable(label: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in label)
    return shown[-_LABEL_CHARACTERS:]


def _read_slot(index: int, part: Part, limits: DecodeLimits) -> _Slot:
    return _Slot(index, part, read_slice_header(read_part(part, limits), limits))


def _sort_slots(slots: list[_Slot]) -> list[_Slot]:
    """Sort DICOM by position, or by instance number where no slice tells its position."""
    headers = [slot.header for slot in slots if slot.header is not None]
    if not headers:
        return slots
    if len(headers) < len(slots):
        raise MixedSeries("found DICOM files and others, expected one kind")
    if len({header.series for header in headers}) > 1:
        raise MixedSeries("found slices of several series, expected one")
    positions = [header.position_mm for header in headers]
    if None not in positions:
        if len({header.direction for header in headers}) > 1:
            raise MixedSeries("the slices of the series lie in several directions")
        if len(set(positions)) < len(positions):
            raise MixedSeries("several slices of the series lie at one position")
        keys: list[float] = [position for position in positions if position is not None]
    else:
        keys = [float(header.instance) for header in headers]
    return [slots[index] for index in np.argsort(keys, kind="stable")]
