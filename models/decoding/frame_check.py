"""What a header declares, held against the limits before memory is taken."""

import math

from models.decoding.limits import DecodeLimits
from models.errors import CorruptScan, TooManyBytes, TooManyFrames, TooManyPixels

_BYTE_BITS = 8


def check_frames(rows: int, columns: int, frames: int, limits: DecodeLimits) -> None:
    """Refuse sizes that are no sizes, or that are over the limits.

    Raises:
        CorruptScan: a size is zero or negative.
        TooManyFrames: more slices than allowed.
        TooManyPixels: a slice, or all of them, larger than allowed.
    """
    if min(rows, columns, frames) < 1:
        raise CorruptScan(f"declares {frames} slices of {rows} x {columns} pixels")
    if frames > limits.max_frames:
        raise TooManyFrames(f"declares {frames} slices, the limit is {limits.max_frames}")
    if rows * columns > limits.max_slice_pixels:
        raise TooManyPixels(
            f"declares {rows} x {columns} pixels, the limit is {limits.max_slice_pixels} a slice"
        )
    if rows * columns * frames > limits.max_pixels:
        raise TooManyPixels(
            f"declares {frames} slices of {rows} x {columns} pixels, the limit is"
            f" {limits.max_pixels} in all"
        )


def check_enough_bytes(found: int, declared_bytes: float, max_ratio: float) -> None:
    """Refuse a picture that this many bytes cannot hold, however well they were compressed.

    Raises:
        CorruptScan: the header lies, or the bytes are cut short.
    """
    needed = math.ceil(declared_bytes / max_ratio)
    if found < needed:
        raise CorruptScan(f"holds {found} bytes of pixels, at least {needed} are needed")


def check_size(found: int, limits: DecodeLimits) -> None:
    """Refuse more bytes than the limits allow.

    Raises:
        TooManyBytes: they are more.
    """
    if found > limits.max_bytes:
        raise TooManyBytes(f"holds {found} bytes, the limit is {limits.max_bytes}")


def note_used_bits(highest: float, depth: int) -> list[str]:
    """Note where whole numbers use fewer bits than they are stored in, such as 12 of 16.

    Args:
        highest: the largest unsigned sample.
        depth: bits of a sample as the file declares them.
    """
    used = max(int(highest).bit_length(), _BYTE_BITS)
    return [f"values use {used} of {depth} bits"] if used < depth else []
