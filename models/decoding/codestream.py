"""What the header of one encoded frame declares, held against what the file declares.

A codec believes the codestream, not the data set: where the two differ, one of them lies about how
much memory to take.
"""

import struct
from dataclasses import dataclass

from models.decoding.dicom_layout import PixelLayout
from models.errors import CorruptScan

_JPEG_START = b"\xff\xd8"
_J2K_START = b"\xff\x4f\xff\x51"
_JP2_SEARCH_BYTES = 4096
# Start of frame markers: all of 0xC0..0xCF but DHT, JPG and DAC, and that of JPEG-LS.
_FRAME_MARKERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC} | {0xF7}
_LOSSLESS_MARKERS = {0xC3, 0xC7, 0xCB, 0xCF}
_BARE_MARKERS = {0x01, *range(0xD0, 0xD9)}


@dataclass(frozen=True, slots=True)
class Codestream:
    """Size and kind of one encoded frame; `is_lossy_jpeg` is DCT coded JPEG."""

    rows: int
    columns: int
    samples: int
    precision: int
    is_lossy_jpeg: bool = False


def read_codestream(frame: bytes) -> Codestream:
    """Read the header of a JPEG, JPEG-LS, JPEG 2000 or HTJ2K codestream.

    Raises:
        CorruptScan: there is none.
    """
    if frame.startswith(_JPEG_START):
        return _read_jpeg(frame)
    start = frame.find(_J2K_START, 0, _JP2_SEARCH_BYTES)
    if start < 0:
        raise CorruptScan("a frame holds no codestream that is known")
    return _read_j2k(frame, start + len(_J2K_START))


def check_codestream(found: Codestream, layout: PixelLayout) -> None:
    """Refuse a codestream that contradicts the data set.

    Raises:
        CorruptScan: in size or number of samples.
    """
    is_same = (found.rows, found.columns) == (layout.rows, layout.columns)
    if not is_same or found.samples != layout.samples or not 1 <= found.precision <= 32:
        raise CorruptScan(
            f"a frame of {found.rows} x {found.columns} pixels of {found.samples} samples was"
            f" found, the header declares {layout.rows} x {layout.columns} of {layout.samples}"
        )


def _read_jpeg(frame: bytes) -> Codestream:
    offset = len(_JPEG_START)
    while offset + 9 < len(frame):
        if frame[offset] != 0xFF:
            raise CorruptScan("a JPEG frame has no marker where one must be")
        marker = frame[offset + 1]
        if marker in _FRAME_MARKERS:
            precision, rows, columns, samples = struct.unpack_from(">BHHB", frame, offset + 4)
            is_lossy = marker not in _LOSSLESS_MARKERS and marker != 0xF7
            return Codestream(rows, columns, samples, precision, is_lossy)
        if marker == 0xFF:
            offset += 1
        elif marker in _BARE_MARKERS:
            offset += 2
        else:
            (length,) = struct.unpack_from(">H", frame, offset + 2)
            offset += 2 + length
    raise CorruptScan("a JPEG frame has no start of frame")


def _read_j2k(frame: bytes, offset: int) -> Codestream:
    if len(frame) < offset + 39:
        raise CorruptScan("a JPEG 2000 frame is shorter than its header")
    right, bottom, left, top = struct.unpack_from(">4L", frame, offset + 4)
    samples, depth = struct.unpack_from(">HB", frame, offset + 36)
    return Codestream(bottom - top, right - left, samples, (depth & 0x7F) + 1)
