"""What passes between the bounded child process and its parent: JSON headers and bare bytes.

A message is the length of its header (unsigned, 4 bytes, big endian), the header, then as many
bytes as the header tells. Nothing of it is executable, so a child that was taken over by hostile
bytes can only lie about pixels.
"""

import struct
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.decoding.limits import DecodeLimits
from models.decoding.scan import (
    DecodedScan,
    Placement,
    SliceSource,
    UnreadFile,
    VoiWindow,
)
from models.specs import Spec

LENGTH = struct.Struct(">I")
MAX_HEADER_BYTES = 64 * 2**20


class PartHeader(Spec):
    """Where one file is: a path, or the blob of this index behind the header; `entry` of a zip."""

    path: str | None = None
    blob: int | None = None
    entry: str | None = None
    entry_bytes: int = 0


class BoundedRequest(Spec):
    """What a bounded child process is asked for, and how much that may cost."""

    limits: DecodeLimits


class RequestHeader(BoundedRequest):
    """Decode this."""

    is_series: bool
    parts: tuple[PartHeader, ...]
    blob_bytes: tuple[int, ...]


class ScanHeader(Spec):
    """A decoded scan without its arrays: pixels float32 `shape`, then padding, a byte a pixel."""

    shape: tuple[int, int, int]
    has_padding: bool
    sha256: str = Field(max_length=64)
    format: str
    bit_depth: int
    is_color: bool
    is_inverted: bool
    modality: str | None
    body_part: str | None
    units: str | None
    spacing_mm: tuple[float, float] | None
    slice_positions_mm: tuple[float, ...] | None
    placement: Placement | None
    voi_windows: tuple[VoiWindow, ...]
    notes: tuple[str, ...]
    sources: tuple[SliceSource, ...]
    unread: tuple[UnreadFile, ...]

    @property
    def pixel_count(self) -> int:
        """How many pixels follow."""
        return int(np.prod([max(size, 0) for size in self.shape], dtype=object))


class AnswerHeader(Spec):
    """The child is ready, has a scan, or refused; `peak_bytes` is the memory of the process."""

    kind: Literal["ready", "scan", "refused"]
    scan: ScanHeader | None = None
    error: str = ""
    message: str = ""
    peak_bytes: int = 0


def frame_header(header: Spec) -> bytes:
    """Give a header with its length in front."""
    body = header.model_dump_json().encode()
    return LENGTH.pack(len(body)) + body


def describe_scan(scan: DecodedScan) -> ScanHeader:
    """Give the header of a scan."""
    slices, rows, columns = scan.pixels.shape
    return ScanHeader(
        shape=(slices, rows, columns),
        has_padding=scan.padding is not None,
        sha256=scan.sha256,
        format=scan.format,
        bit_depth=scan.bit_depth,
        is_color=scan.is_color,
        is_inverted=scan.is_inverted,
        modality=scan.modality,
        body_part=scan.body_part,
        units=scan.units,
        spacing_mm=scan.spacing_mm,
        slice_positions_mm=scan.slice_positions_mm,
        placement=scan.placement,
        voi_windows=scan.voi_windows,
        notes=scan.notes,
        sources=scan.sources,
        unread=scan.unread,
    )


def assemble_scan(
    header: ScanHeader, pixels: NDArray[np.float32], padding: NDArray[np.bool_] | None
) -> DecodedScan:
    """Put header and arrays together.

    Args:
        header: all but the arrays.
        pixels: float32 [S, H, W], real units.
        padding: bool [S, H, W] or None; true is padding.
    """
    return DecodedScan(
        pixels=pixels,
        sha256=header.sha256,
        format=header.format,
        bit_depth=header.bit_depth,
        is_color=header.is_color,
        is_inverted=header.is_inverted,
        modality=header.modality,
        body_part=header.body_part,
        units=header.units,
        spacing_mm=header.spacing_mm,
        slice_positions_mm=header.slice_positions_mm,
        placement=header.placement,
        voi_windows=header.voi_windows,
        padding=padding,
        notes=header.notes,
        sources=header.sources,
        unread=header.unread,
    )
