"""Decoded scan to the normalized tensor that the network sees, and the way back."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from models.decoding.scan import DecodedScan
from models.errors import EmptyForeground, NonFinitePixels
from models.specs import ForegroundSpec, NormalizeSpec, PercentileWindowSpec, WindowSpec

# Under this share of body in the whole scan there is nothing to compare.
MINIMUM_FOREGROUND_SHARE = 0.01
# The darkest and brightest half per cent are outliers: hot pixels, burned-in marks, metal.
ROBUST_PERCENTILES = (0.5, 99.5)
# Resizing a flat picture leaves rounding errors of about this share of its grey level.
ROUNDING_SHARE = 32 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the picture lies in the square tensor; maps pixels and points both ways.

    The picture of `rows` x `columns` original pixels was resized to `height` x `width` and laid at
    (`top`, `left`) of a square of `size_px`.
    """

    rows: int
    columns: int
    top: int
    left: int
    height: int
    width: int
    size_px: int

    def to_tensor(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points from original pixels to the tensor.

        Args:
            points: float64 [N, 2], (row, column) of pixel centres, original pixels.

        Returns:
            float64 [N, 2], (row, column), tensor pixels.
        """
        scale = np.array([self.height / self.rows, self.width / self.columns])
        mapped: NDArray[np.float64] = (points + 0.5) * scale - 0.5 + (self.top, self.left)
        return mapped

    def to_original(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points from the tensor to original pixels.

        Args:
            points: float64 [N, 2], (row, column) of pixel centres, tensor pixels.

        Returns:
            float64 [N, 2], (row, column), original pixels.
        """
        scale = np.array([self.rows / self.height, self.columns / self.width])
        mapped: NDArray[np.float64] = (points - (self.top, self.left) + 0.5) * scale - 0.5
        return mapped

    def restore_map(self, values: Tensor) -> NDArray[np.float32]:
        """Bring maps back to the original pixels.

        Args:
            values: float32 [S, 1, H, W], any unit, tensor pixels.

        Returns:
            float32 [S, H, W], same unit, original pixels.
        """
        inner = values[..., self.top : self.top + self.height, self.left : self.left + self.width]
        if inner.shape[-2:] != (self.rows, self.columns):
            inner = functional.interpolate(
                inner, size=(self.rows, self.columns), mode="bilinear", antialias=True
            )
        restored: NDArray[np.float32] = inner[:, 0].contiguous().numpy()
        return restored


@dataclass(frozen=True, slots=True)
class NormalizedScan:
    """What the network is shown.

    `image`: float32 [S, 1, H, W], 0..1, share of the intensity window; 0 outside the picture.
    `foreground`: bool [S, 1, H, W]; True inside the body.
    `window`: the real values that became 0 and 1.
    """

    image: Tensor
    foreground: Tensor
    frame: Frame
    window: tuple[float, float]


def normalize_scan(scan: DecodedScan, spec: NormalizeSpec) -> NormalizedScan:
    """Resize the scan, find the body and scale its intensities to 0..1.

    The foreground and the window are taken over all slices together, after the resize, so that the
    cost does not grow with the detector's matrix and the slices of a volume stay comparable.

    Raises:
        NonFinitePixels: NaN or infinity among the pixels.
        EmptyForeground: nothing but background.
    """
    frame = fit_frame(scan, spec)
    picture = _resize(_fill_padding(scan), frame)
    inside = _find_foreground(picture, spec.foreground)
    low, high = _find_window(picture, inside, spec.window)
    image = ((picture - low) / (high - low)).clamp_(0.0, 1.0)
    return NormalizedScan(
        image=_lay_in_square(image, frame),
        foreground=_lay_in_square(inside, frame),
        frame=frame,
        window=(low, high),
    )


def fit_frame(scan: DecodedScan, spec: NormalizeSpec) -> Frame:
    """Say where the scan's picture lies in the square tensor.

    Padding keeps the aspect ratio in the patient: pixels that are not square count by their
    spacing.
    """
    rows, columns = scan.pixels.shape[1:]
    size = spec.size_px
    if spec.fit == "stretch":
        return Frame(rows, columns, 0, 0, size, size, size)
    row_mm, column_mm = scan.spacing_mm or (1.0, 1.0)
    longest = max(rows * row_mm, columns * column_mm)
    height = min(size, max(1, round(size * rows * row_mm / longest)))
    width = min(size, max(1, round(size * columns * column_mm / longest)))
    return Frame(rows, columns, (size - height) // 2, (size - width) // 2, height, width, size)


def _fill_padding(scan: DecodedScan) -> Tensor:
    """Give the pixels, padding set to the darkest real value: float32 [S, 1, H, W], real units."""
    pixels = scan.pixels
    if not np.isfinite(pixels).all():
        raise NonFinitePixels
    if scan.padding is not None and scan.padding.any():
        if scan.padding.all():
            raise EmptyForeground
        pixels = np.where(scan.padding, pixels[~scan.padding].min(), pixels)
    return torch.from_numpy(np.array(pixels, dtype=np.float32, order="C"))[:, None]


def _resize(pixels: Tensor, frame: Frame) -> Tensor:
    """Resize with an antialiasing triangle filter: float32 [S, 1, height, width], real units."""
    if pixels.shape[-2:] == (frame.height, frame.width):
        return pixels
    return functional.interpolate(
        pixels, size=(frame.height, frame.width), mode="bilinear", antialias=True
    )


def _find_foreground(picture: Tensor, spec: ForegroundSpec) -> Tensor:
    """Tell the body from the background: bool [S, 1, height, width]; True inside the body."""
    low, high = np.percentile(picture.numpy(), ROBUST_PERCENTILES)
    if _is_flat(low, high):
        low, high = float(picture.min()), float(picture.max())
    if _is_flat(low, high):
        raise EmptyForeground
    if spec.method == "full":
        return torch.ones_like(picture, dtype=torch.bool)
    bright = (picture > low + spec.threshold_share * (high - low)).numpy()
    inside = np.zeros_like(bright)
    for index, plane in enumerate(bright[:, 0]):
        inside[index, 0] = ndimage.binary_fill_holes(ndimage.binary_opening(plane))
    if inside.mean() < MINIMUM_FOREGROUND_SHARE:
        raise EmptyForeground
    return torch.from_numpy(inside)


def _find_window(picture: Tensor, inside: Tensor, spec: WindowSpec) -> tuple[float, float]:
    """Give the two real values that become 0 and 1."""
    if spec.kind == "none":
        return 0.0, 1.0
    if not isinstance(spec, PercentileWindowSpec):
        return spec.low, spec.high
    low, high = np.percentile(picture[inside].numpy(), (spec.low, spec.high))
    if _is_flat(low, high):
        raise EmptyForeground
    return float(low), float(high)


def _is_flat(low: float, high: float) -> bool:
    return not high - low > ROUNDING_SHARE * max(abs(low), abs(high))


def _lay_in_square(values: Tensor, frame: Frame) -> Tensor:
    """Pad to the square with zeros: same dtype [S, 1, size, size]."""
    bottom = frame.size_px - frame.top - frame.height
    right = frame.size_px - frame.left - frame.width
    return functional.pad(values, (frame.left, right, frame.top, bottom))
