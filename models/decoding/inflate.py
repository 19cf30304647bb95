"""Deflated bytes to plain ones, never more than a limit."""

import zlib

from models.errors import CorruptScan, TooManyBytes

_CHUNK_BYTES = 1 << 20


def inflate(packed: bytes, window_bits: int, limit: int) -> bytes:
    """Inflate piece by piece, and stop where it grows over the limit.

    Raises:
        TooManyBytes: more than `limit` bytes come out.
        CorruptScan: the stream is broken or ends early.
    """
    inflater = zlib.decompressobj(window_bits)
    pieces: list[bytes] = []
    total = 0
    try:
        while not inflater.eof:
            piece = inflater.decompress(packed, _CHUNK_BYTES)
            packed = inflater.unconsumed_tail
            total += len(piece)
            if total > limit:
                raise TooManyBytes(f"inflates to more than {limit} bytes")
            if not piece and not packed:
                raise CorruptScan("the deflated bytes end early")
            pieces.append(piece)
    except zlib.error as error:
        raise CorruptScan("the deflated bytes are broken") from error
    return b"".join(pieces)
