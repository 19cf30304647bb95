"""Error map to picture: the one colour table, on the absolute calibrated scale."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.decoding.scan import DecodedScan

# A scan that proposes no window is shown between these percentiles.
_PERCENTILES = (0.5, 99.5)
_SAMPLED_PX = 1_000_000
# Multiples of the pixel threshold that the colours span; above the last the colour stays.
COLOR_RANGE = (1.0, 4.0)
# Anchors of the table, from just above the threshold to the top: red, green, blue, 0..255. A
# monotone climb in lightness (vermilion to pale yellow) that colour-blind readers can follow.
COLOR_ANCHORS = np.array(
    [[168, 18, 64], [214, 62, 42], [240, 120, 32], [250, 180, 60], [252, 240, 150]],
    dtype=np.float64,
)
OUTLINE_COLOR = np.array([0, 224, 255], dtype=np.uint8)

COLOR_TABLE: NDArray[np.uint8] = np.stack(
    [
        np.interp(
            np.linspace(0.0, 1.0, 256),
            np.linspace(0.0, 1.0, len(COLOR_ANCHORS)),
            COLOR_ANCHORS[:, c],
        )
        for c in range(3)
    ],
    axis=1,
).astype(np.uint8)


def choose_window(scan: DecodedScan) -> tuple[float, float]:
    """Give the real values drawn black and white: the file's first window, else percentiles."""
    if scan.voi_windows:
        window = scan.voi_windows[0]
        return window.center - window.width / 2, window.center + window.width / 2
    flat = scan.pixels.reshape(-1)
    sample = flat[:: max(1, flat.size // _SAMPLED_PX)]
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, _PERCENTILES)
    return float(low), float(high)


def draw_overlay(
    pixels: NDArray[np.float32],
    error_map: NDArray[np.float32],
    window: tuple[float, float],
    opacity: float,
    *,
    has_outline: bool,
) -> NDArray[np.uint8]:
    """Draw one slice with its error map over it; transparent below the pixel threshold.

    Args:
        pixels: float32 [H, W], real units.
        error_map: float32 [H, W], >= 0, multiples of the pixel threshold.
        window: the real values drawn black and white.
        opacity: 0..1, of the colours.
        has_outline: draw the outline of what lies above the threshold.

    Returns:
        uint8 [H, W, 3], 0..255, red, green, blue.
    """
    grey = draw_pixels(pixels, window).astype(np.float64)
    above = error_map > COLOR_RANGE[0]
    mixed = (1.0 - opacity) * grey + opacity * color_error_map(error_map)
    picture = np.where(above[..., None], mixed, grey).round().astype(np.uint8)
    if has_outline:
        picture[trace_outline(above)] = OUTLINE_COLOR
    return picture


def draw_pixels(pixels: NDArray[np.float32], window: tuple[float, float]) -> NDArray[np.uint8]:
    """Draw one slice in grey: float32 [H, W], real units, to uint8 [H, W, 3], 0..255."""
    low, high = window
    span = max(high - low, float(np.finfo(np.float32).eps))
    grey = (255.0 * np.clip((pixels - low) / span, 0.0, 1.0)).round().astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def color_error_map(error_map: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Give the colour of each value.

    Args:
        error_map: float32 [H, W], >= 0, multiples of the pixel threshold.

    Returns:
        uint8 [H, W, 3], 0..255, red, green, blue.
    """
    low, high = COLOR_RANGE
    share = np.clip((np.nan_to_num(error_map) - low) / (high - low), 0.0, 1.0)
    colors: NDArray[np.uint8] = COLOR_TABLE[(255.0 * share).round().astype(np.intp)]
    return colors


def trace_outline(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Give the inner border of a mask: bool [H, W]; True on the outline, at most one pixel wide."""
    outline: NDArray[np.bool_] = inside & ~ndimage.binary_erosion(inside)
    return outline
