"""Colour to luminance."""

import numpy as np
from numpy.typing import NDArray

# ITU-R BT.601, the weights of DICOM's YBR_FULL (PS3.3 C.7.6.3.1.2) and of JPEG.
_WEIGHTS = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def has_color(rgb: NDArray[np.generic]) -> bool:
    """Whether any pixel of [..., 3] is not grey."""
    return not (
        np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 0], rgb[..., 2])
    )


def compute_luminance(rgb: NDArray[np.generic], *, is_color: bool) -> NDArray[np.float32]:
    """Give the luminance of red, green, blue.

    Args:
        rgb: any [..., 3], same scale as the result.
        is_color: where false the three are equal, and the first is the result, exactly.

    Returns:
        float32 [...].
    """
    if not is_color:
        return rgb[..., 0].astype(np.float32)
    return np.asarray(rgb.astype(np.float32) @ _WEIGHTS, dtype=np.float32)
