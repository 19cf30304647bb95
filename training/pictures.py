"""Finding to picture: the scan, its overlay and its reconstruction, side by side."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.detector import Finding
from models.overlay import choose_window, draw_overlay, draw_pixels
from models.pipeline import ScoredScan

OPACITY = 0.7
GAP_PX = 4


def write_picture(finding: Finding, path: Path) -> None:
    """Write a PNG of the hottest slice; nothing where the scan could not be looked at."""
    if finding.scored is not None:
        Image.fromarray(draw_finding(finding.scored)).save(path)


def draw_finding(scored: ScoredScan) -> NDArray[np.uint8]:
    """Draw the hottest slice: scan, overlay on the absolute scale, reconstruction.

    Returns:
        uint8 [H, 3 W + gaps, 3], 0..255, red, green, blue.
    """
    index = int(np.argmax(scored.slice_scores))
    pixels = scored.measured.scan.pixels[index]
    window = choose_window(scored.measured.scan)
    error_map = scored.restore_error_map()[index]
    panels = [
        draw_pixels(pixels, window),
        draw_overlay(pixels, error_map, window, OPACITY, has_outline=True),
        draw_pixels(scored.restore_reconstruction()[index], window),
    ]
    gap = np.zeros((len(pixels), GAP_PX, 3), dtype=np.uint8)
    return np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
