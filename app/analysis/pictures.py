"""Slices as PNG: the scan alone, or with its error map over it."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.decoding.scan import DecodedScan
from models.overlay import choose_window, draw_overlay, draw_pixels

_FAST = 1


@dataclass(frozen=True, slots=True)
class PictureOrder:
    """What to draw: which slice, its longest side in pixels (None: as it is), and how opaque."""

    slice_index: int
    size_px: int | None
    opacity: float
    has_outline: bool


def draw_preview(scan: DecodedScan, order: PictureOrder) -> bytes:
    """Draw one slice in grey, as PNG."""
    grey = draw_pixels(_take_slice(scan, order), choose_window(scan))
    return _encode(grey, order.size_px)


def draw_case(scan: DecodedScan, error_map: NDArray[np.float32], order: PictureOrder) -> bytes:
    """Draw one slice with its error map over it, as PNG.

    Args:
        scan: what is underneath.
        error_map: float32 [H, W], >= 0, multiples of the pixel threshold, of the slice ordered.
        order: slice, size and opacity.
    """
    picture = draw_overlay(
        _take_slice(scan, order),
        error_map,
        choose_window(scan),
        order.opacity,
        has_outline=order.has_outline,
    )
    return _encode(picture, order.size_px)


def _take_slice(scan: DecodedScan, order: PictureOrder) -> NDArray[np.float32]:
    return np.asarray(np.nan_to_num(scan.pixels[order.slice_index]), dtype=np.float32)


def _encode(picture: NDArray[np.uint8], size_px: int | None) -> bytes:
    """Encode as PNG: uint8 [H, W, 3], 0..255."""
    image = Image.fromarray(picture)
    if size_px is not None:
        share = size_px / max(image.size)
        size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
        image = image.resize(size, Image.Resampling.BILINEAR)
    stream = io.BytesIO()
    image.save(stream, format="PNG", compress_level=_FAST)
    return stream.getvalue()
