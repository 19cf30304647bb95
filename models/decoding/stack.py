"""Slices of one volume put into one array."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.decoding.frame_check import check_frames
from models.decoding.limits import DecodeLimits
from models.decoding.scan import DecodedScan, Placement, SliceSource, UnreadFile
from models.errors import MixedSeries

# Slices may lie this share of their usual distance off an even grid before it is noted.
_EVEN_TOLERANCE = 0.05


class SliceStack:
    """Slices put into one array as they come, so that each is in memory only once."""

    def __init__(self, limits: DecodeLimits, count: int) -> None:
        self._limits = limits
        self._count = count
        self._scans: list[DecodedScan] = []
        self._pixels: NDArray[np.float32] = np.empty((0, 0, 0), dtype=np.float32)

    def add(self, scan: DecodedScan, file: int) -> None:
        """Take the next slice, and which of the files handed in it is.

        Raises:
            MixedSeries: it does not fit those before it.
        """
        if not self._scans:
            rows, columns = scan.pixels.shape[1:]
            check_frames(rows, columns, self._count, self._limits)
            self._pixels = np.empty((self._count, rows, columns), dtype=np.float32)
        self._check_fit(scan)
        self._pixels[len(self._scans)] = scan.pixels[0]
        source = (SliceSource(file, 0),)
        self._scans.append(replace(scan, pixels=self._pixels[:1], sources=source))

    def _check_fit(self, scan: DecodedScan) -> None:
        first = self._scans[0] if self._scans else scan
        facts = (
            (scan.slice_count == 1, "one of several files holds more than one slice"),
            (scan.pixels.shape[1:] == self._pixels.shape[1:], "the slices differ in size"),
            (scan.modality == first.modality, "the slices differ in modality"),
            (scan.units == first.units, "the slices differ in their units"),
            (scan.is_inverted == first.is_inverted, "some slices are inverted and some are not"),
            (_is_same_spacing(scan, first), "the slices differ in spacing"),
        )
        for holds, contradiction in facts:
            if not holds:
                raise MixedSeries(contradiction)

    def build(self, unread: tuple[UnreadFile, ...] = ()) -> DecodedScan:
        """Give the volume, and the files that it lacks."""
        scans, first = self._scans, self._scans[0]
        pixels = self._pixels[: len(scans)]
        digest = hashlib.sha256("".join(sorted(scan.sha256 for scan in scans)).encode())
        placement = _join_placements(scans)
        notes = list(dict.fromkeys(note for scan in scans for note in scan.notes))
        if placement and not _is_even(placement.slice_positions_mm):
            notes.append("the slices are not evenly spaced")
        if not placement and first.format == "dicom":
            notes.append("no positions, slices sorted by instance number")
        return replace(
            first,
            pixels=pixels,
            unread=unread,
            sha256=digest.hexdigest(),
            bit_depth=max(scan.bit_depth for scan in scans),
            is_color=any(scan.is_color for scan in scans),
            padding=_join_paddings(scans, pixels.shape),
            placement=placement,
            slice_positions_mm=placement.slice_positions_mm if placement else None,
            notes=tuple(notes),
            sources=tuple(scan.sources[0] for scan in scans),
        )


def _is_same_spacing(one: DecodedScan, other: DecodedScan) -> bool:
    if one.spacing_mm is None or other.spacing_mm is None:
        return one.spacing_mm == other.spacing_mm
    return bool(np.allclose(one.spacing_mm, other.spacing_mm, rtol=1e-3))


def _join_placements(scans: Sequence[DecodedScan]) -> Placement | None:
    places = [scan.placement for scan in scans if scan.placement is not None]
    if len(places) < len(scans):
        return None
    return replace(places[0], origins_mm=tuple(place.origins_mm[0] for place in places))


def _join_paddings(
    scans: Sequence[DecodedScan], shape: tuple[int, ...]
) -> NDArray[np.bool_] | None:
    if all(scan.padding is None for scan in scans):
        return None
    padding = np.zeros(shape, dtype=np.bool_)
    for index, scan in enumerate(scans):
        if scan.padding is not None:
            padding[index] = scan.padding[0]
    return padding


def _is_even(positions: Sequence[float]) -> bool:
    steps = np.diff(positions)
    return bool(np.allclose(steps, np.median(steps), rtol=_EVEN_TOLERANCE, atol=1e-3))
