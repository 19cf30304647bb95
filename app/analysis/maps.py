"""Maps on disk: float16, shuffled and compressed slice by slice, so that one can be drawn alone.

A map file is a line of JSON (`MapHeader`), then the compressed slices one behind the other. An
error map of float16 draws the very same overlay and has the same regions: a value that rounding
would carry over the pixel threshold, or to the next colour, is rounded the other way.
"""

from collections.abc import Sequence
from typing import Literal

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from app.errors import BlobCorrupt
from models.overlay import color_error_map
from models.specs import Spec

_LARGEST = float(np.finfo(np.float16).max)
_LEVEL = 1
_ITEM_BYTES = 2


class MapHeader(Spec):
    """Shape, scale and place of the slices: value = `low` + `span` * stored."""

    version: Literal[1] = 1
    shape: tuple[int, int, int]
    low: float
    span: float
    sizes: tuple[int, ...]


def pack_error_map(values: NDArray[np.float32]) -> bytes:
    """Pack an error map.

    Args:
        values: float32 [S, H, W], >= 0, multiples of the pixel threshold.
    """
    return _pack([_round_error_map(plane) for plane in values], 0.0, 1.0)


def pack_reconstruction(values: NDArray[np.float32]) -> bytes:
    """Pack a reconstruction: float32 [S, H, W], real units, kept as a share of its range."""
    low, high = float(values.min()), float(values.max())
    span = (high - low) or 1.0
    return _pack([((plane - low) / span).astype(np.float16) for plane in values], low, span)


def unpack_map(content: bytes) -> NDArray[np.float32]:
    """Unpack all slices: float32 [S, H, W], unit of what was packed.

    Raises:
        BlobCorrupt: these bytes are no map.
    """
    header, body = _read_header(content)
    return np.stack([_unpack(header, body, index) for index in range(header.shape[0])])


def unpack_slice(content: bytes, index: int) -> NDArray[np.float32]:
    """Unpack one slice: float32 [H, W], unit of what was packed.

    Raises:
        BlobCorrupt: these bytes are no map, or it has no such slice.
    """
    header, body = _read_header(content)
    if not 0 <= index < header.shape[0]:
        raise BlobCorrupt(f"the map has {header.shape[0]} slices, asked for slice {index}")
    return _unpack(header, body, index)


def _round_error_map(plane: NDArray[np.float32]) -> NDArray[np.float16]:
    """Round to float16 [H, W] without moving a pixel to another colour or over the threshold."""
    rounded = np.minimum(plane, _LARGEST).astype(np.float16)
    near = np.flatnonzero(np.maximum(plane, rounded) > 1.0)
    exact, close = plane.flat[near], rounded.flat[near]
    is_moved = (exact > 1.0) != (close > 1.0)
    is_moved |= (_color(exact) != _color(close.astype(np.float32))).any(axis=-1)
    away = np.where(close > exact, np.float16(0.0), np.float16(np.inf))
    rounded.flat[near[is_moved]] = np.nextafter(close[is_moved], away[is_moved])
    return rounded


def _color(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(color_error_map(values[None])[0], dtype=np.uint8)


def _pack(planes: Sequence[NDArray[np.float16]], low: float, span: float) -> bytes:
    bodies = [bytes(imagecodecs.zstd_encode(_shuffle(plane), level=_LEVEL)) for plane in planes]
    header = MapHeader(
        shape=(len(planes), *planes[0].shape),
        low=low,
        span=span,
        sizes=tuple(len(body) for body in bodies),
    )
    return b"".join((header.model_dump_json().encode(), b"\n", *bodies))


def _shuffle(plane: NDArray[np.float16]) -> bytes:
    """Put all high bytes before all low bytes: neighbours share their exponent."""
    halves = np.frombuffer(plane.tobytes(), dtype=np.uint8).reshape(-1, _ITEM_BYTES)
    return halves.T.tobytes()


def _read_header(content: bytes) -> tuple[MapHeader, memoryview]:
    end = content.find(b"\n")
    try:
        return MapHeader.model_validate_json(content[: max(end, 0)]), memoryview(content)[end + 1 :]
    except ValueError:
        raise BlobCorrupt("the stored map is no map") from None


def _unpack(header: MapHeader, body: memoryview, index: int) -> NDArray[np.float32]:
    start = sum(header.sizes[:index])
    rows, columns = header.shape[1:]
    flat = imagecodecs.zstd_decode(
        bytes(body[start : start + header.sizes[index]]), out=rows * columns * _ITEM_BYTES
    )
    halves = np.frombuffer(flat, dtype=np.uint8).reshape(_ITEM_BYTES, -1)
    stored = np.frombuffer(halves.T.tobytes(), dtype=np.float16).reshape(rows, columns)
    values = stored.astype(np.float32) * np.float32(header.span) + np.float32(header.low)
    return np.asarray(values, dtype=np.float32)
