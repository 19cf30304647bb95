"""RLE frames to stored values (PS3.5 annex G)."""

import struct

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from models.decoding.dicom_layout import PixelLayout
from models.decoding.frame_check import check_enough_bytes
from models.errors import CorruptScan, UnsupportedEncoding

_HEADER_BYTES = 64
_MAX_SEGMENTS = 15
# A run turns two bytes into 128 (G.3).
_RATIO = 64


def decode_rle(frame: bytes, layout: PixelLayout) -> NDArray[np.generic]:
    """Decode one frame.

    Returns:
        integer [H, W] or [H, W, C], stored values; packed bits come as 0 and 1.

    Raises:
        CorruptScan: wrong number or place of segments, or they do not give the pixels declared.
        UnsupportedEncoding: samples so wide that an RLE header cannot tell of them.
    """
    segments = [_decode_segment(segment, layout) for segment in _split_segments(frame, layout)]
    if layout.bits_allocated == 1:
        return unpack_bits(segments[0], layout)
    size = layout.bits_allocated // 8
    # Segments run sample by sample, the most significant byte first (G.2).
    planes = np.stack(segments).reshape(layout.samples, size, layout.rows, layout.columns)
    kind = "i" if layout.is_signed else "u"
    cells = np.ascontiguousarray(planes.transpose(2, 3, 0, 1)).view(f">{kind}{size}")[..., 0]
    values = cells.astype(f"{kind}{size}")
    unused = layout.bits_allocated - layout.bits_stored
    if unused:
        values = (values << unused) >> unused
    return values[..., 0] if layout.samples == 1 else values


def unpack_bits(packed: NDArray[np.uint8], layout: PixelLayout) -> NDArray[np.generic]:
    """Give uint8 [H, W], 0 or 1; the first pixel is the lowest bit (8.1.1)."""
    bits = np.unpackbits(packed, bitorder="little", count=layout.rows * layout.columns)
    return bits.reshape(layout.rows, layout.columns)


def _split_segments(frame: bytes, layout: PixelLayout) -> list[bytes]:
    """Cut the frame at the offsets of its header, once they were held against the layout."""
    if len(frame) < _HEADER_BYTES:
        raise CorruptScan("an RLE frame is shorter than its header")
    count, *starts = struct.unpack_from("<16L", frame)
    expected = layout.samples * max(layout.bits_allocated // 8, 1)
    if expected > _MAX_SEGMENTS:
        raise UnsupportedEncoding(f"RLE of {expected} bytes a pixel")
    if count != expected:
        raise CorruptScan(f"an RLE frame has {count} segments, expected {expected}")
    ends = [*starts[1:count], len(frame)]
    for start, end in zip(starts[:count], ends, strict=True):
        if not _HEADER_BYTES <= start <= end <= len(frame):
            raise CorruptScan("a segment of an RLE frame lies outside of it")
        check_enough_bytes(end - start, layout.frame_bytes // expected, _RATIO)
    return [frame[start:end] for start, end in zip(starts[:count], ends, strict=True)]


def _decode_segment(segment: bytes, layout: PixelLayout) -> NDArray[np.uint8]:
    """Give uint8 [bytes of a plane]; what a codec wrote beyond it, as some do, is left out."""
    needed = layout.rows * layout.columns
    needed = -(-needed // 8) if layout.bits_allocated == 1 else needed
    try:
        plain = imagecodecs.packbits_decode(segment)
    except imagecodecs.PackbitsError:
        # A byte of padding makes the length even (G.3.2); it is no run.
        plain = imagecodecs.packbits_decode(segment[:-1])
    if len(plain) < needed:
        raise CorruptScan(f"an RLE segment gives {len(plain)} bytes, {needed} are needed")
    return np.frombuffer(plain, dtype=np.uint8, count=needed)
