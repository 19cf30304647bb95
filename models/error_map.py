"""Scan and reconstruction to the error map: how far apart they are, pixel by pixel."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from models.networks.reconstruction import Reconstruction
from models.normalize import NormalizedScan
from models.specs import ErrorMapSpec

# Stabilizers of the structural similarity for values 0..1 (Wang et al. 2004, K1 0.01, K2 0.03).
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2
# A Gaussian is cut at this many standard deviations.
GAUSSIAN_REACH = 3.0
# What does not change the smoothed distance; maps that differ in nothing else share it.
BARE = {
    "is_normalized": False,
    "healthy_deviations": 0.0,
    "healthy_floor": 1.0,
    "erosion_share": 0.0,
}


@dataclass(frozen=True, slots=True)
class HealthyPixels:
    """How large the error of each pixel is on healthy scans.

    `mean` and `deviation`: float32 [1, 1, H, W], >= 0, in the unit of the error map.
    """

    mean: Tensor
    deviation: Tensor


@dataclass(frozen=True, slots=True)
class ErrorMap:
    """How far the reconstruction is from the scan.

    `values`: float32 [B, 1, H, W], >= 0, unit of the distance; 0 outside the foreground.
    `foreground`: bool [B, 1, H, W]; True where the distance counts, border eroded.
    """

    values: Tensor
    foreground: Tensor


def build_error_map(
    scan: NormalizedScan,
    reconstruction: Reconstruction,
    spec: ErrorMapSpec,
    healthy: HealthyPixels | None,
    features: nn.Module | None,
) -> ErrorMap:
    """Measure, pixel by pixel, how far the reconstruction is from the scan.

    Args:
        scan: what the network was shown.
        reconstruction: what it drew, same slices, same scale.
        spec: which distance, how smoothed, how far from the border of the body.
        healthy: the error of healthy scans; needed where `spec.is_normalized`.
        features: frozen network that gives feature maps; needed by the perceptual distance.

    Raises:
        ValueError: the two pictures differ in shape, or something the spec needs is not given.
    """
    return build_error_maps(scan, reconstruction, {spec: healthy}, features)[spec]


def build_error_maps(
    scan: NormalizedScan,
    reconstruction: Reconstruction,
    wanted: Mapping[ErrorMapSpec, HealthyPixels | None],
    features: nn.Module | None,
) -> dict[ErrorMapSpec, ErrorMap]:
    """Build several error maps of one scan; what they share is measured once.

    Args:
        scan: what the network was shown.
        reconstruction: what it drew, same slices, same scale.
        wanted: per error map the error of healthy scans, needed where it is normalized.
        features: frozen network that gives feature maps; needed by the perceptual distance.

    Raises:
        ValueError: the two pictures differ in shape, or something a spec needs is not given.
    """
    if scan.image.shape != reconstruction.image.shape:
        raise ValueError(
            f"scan {tuple(scan.image.shape)} and reconstruction "
            f"{tuple(reconstruction.image.shape)} differ in shape"
        )
    side = scan.image.shape[-1]
    distances: dict[ErrorMapSpec, Tensor] = {}
    bodies: dict[int, Tensor] = {}
    built = {}
    for spec, healthy in wanted.items():
        bare = spec.model_copy(update=BARE)
        if bare not in distances:
            distance = _measure_distance(scan.image, reconstruction, spec, features)
            distances[bare] = _smooth(distance.mean(dim=1, keepdim=True), spec)
        border_px = round(spec.erosion_share * side)
        if border_px not in bodies:
            bodies[border_px] = erode_foreground(scan.foreground, border_px)
        values = _divide_by_healthy(distances[bare], spec, healthy)
        built[spec] = ErrorMap(values * bodies[border_px], bodies[border_px])
    return built


def compute_ssim(first: Tensor, second: Tensor, sigma_px: float) -> Tensor:
    """Give the structural similarity of each pixel's surroundings (Wang et al. 2004, eq. 13).

    The Gaussian has full support: borders are padded by their own values, so that every pixel
    has a value.

    Args:
        first: float32 [B, C, H, W], 0..1, share of the intensity window.
        second: float32 [B, C, H, W], 0..1, share of the intensity window.
        sigma_px: standard deviation of the Gaussian.

    Returns:
        float32 [B, C, H, W], -1..1; 1 where the surroundings are alike.
    """
    count = first.shape[1]
    moments = blur(
        torch.cat([first, second, first * first, second * second, first * second], dim=1), sigma_px
    )
    mean_1, mean_2, square_1, square_2, product = torch.split(moments, count, dim=1)
    both = mean_1 * mean_2
    squares = mean_1 * mean_1 + mean_2 * mean_2
    variances = square_1 + square_2 - squares
    covariance = product - both
    similarity = (2 * both + SSIM_C1) * (2 * covariance + SSIM_C2)
    return similarity / ((squares + SSIM_C1) * (variances + SSIM_C2))


def blur(values: Tensor, sigma_px: float) -> Tensor:
    """Smooth by a Gaussian, borders padded by their own values: float32 [B, C, H, W]."""
    if sigma_px <= 0.0:
        return values
    rows, columns = values.shape[-2:]
    down = _blur_matrix(rows, sigma_px).to(values)
    across = _blur_matrix(columns, sigma_px).to(values)
    smoothed: Tensor = down @ values @ across.T
    return smoothed


@lru_cache(maxsize=32)
@torch.inference_mode(mode=False)  # kept and used again, also where gradients flow
def _blur_matrix(side: int, sigma_px: float) -> Tensor:
    """Give the Gaussian as a matrix: float32 [side, side], rows sum to 1; replicate padding.

    Two products with it are quicker than two convolutions as long as pictures are small.
    """
    reach = max(1, math.ceil(GAUSSIAN_REACH * sigma_px))
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (offsets / sigma_px) ** 2)
    weights = weights / weights.sum()
    matrix = torch.zeros(side, side)
    for row in range(side):
        columns = (row + offsets).clamp(0, side - 1)
        matrix[row].index_add_(0, columns, weights)
    return matrix


def erode_foreground(foreground: Tensor, pixels: int) -> Tensor:
    """Take a border of so many pixels off the body; beyond the picture there is no body.

    Args:
        foreground: bool [B, 1, H, W]; True inside the body.
        pixels: width of the border.

    Returns:
        bool [B, 1, H, W]; True inside.
    """
    if pixels == 0:
        return foreground
    window = 2 * pixels + 1
    inside = foreground.numpy().view(np.uint8)
    kept = ndimage.minimum_filter(inside, size=(1, 1, window, window), mode="constant", cval=0)
    return torch.from_numpy(kept.view(np.bool_))


def _divide_by_healthy(
    distance: Tensor, spec: ErrorMapSpec, healthy: HealthyPixels | None
) -> Tensor:
    """Give the distance in multiples of what healthy scans have there, where the spec asks."""
    if not spec.is_normalized:
        return distance
    if healthy is None:
        raise ValueError("a normalized error map needs the error of healthy scans")
    usual = healthy.mean + spec.healthy_deviations * healthy.deviation + spec.healthy_floor
    return distance / usual


def _measure_distance(
    image: Tensor, reconstruction: Reconstruction, spec: ErrorMapSpec, features: nn.Module | None
) -> Tensor:
    """Give the bare distance: float32 [B, C, H, W], >= 0, unit of the distance."""
    redrawn = reconstruction.image
    if spec.distance == "absolute":
        return (image - redrawn).abs()
    if spec.distance == "squared":
        return (image - redrawn).square()
    if spec.distance == "structural":
        sigma_px = spec.ssim_sigma_share * image.shape[-1]
        return (1.0 - compute_ssim(image, redrawn, sigma_px)).clamp_min(0.0)
    if spec.distance == "variance":
        return _measure_by_variance(image, reconstruction)
    return _measure_by_features(image, redrawn, features)


def _measure_by_variance(image: Tensor, reconstruction: Reconstruction) -> Tensor:
    """Give the squared error over the predicted variance (Mao et al. 2020, MICCAI, AE-U)."""
    if reconstruction.log_variance is None:
        raise ValueError("the network predicts no variance")
    return (image - reconstruction.image).square() * torch.exp(-reconstruction.log_variance)


def _measure_by_features(image: Tensor, redrawn: Tensor, features: nn.Module | None) -> Tensor:
    """Give the relative L1 distance of frozen features (Shvetsova et al. 2021, eq. 2)."""
    if features is None:
        raise ValueError("the perceptual distance needs a feature network")
    with torch.no_grad():
        own, drawn = features(image), features(redrawn)
    total = torch.zeros_like(image[:, :1])
    for here, there in zip(own, drawn, strict=True):
        apart = (here - there).abs().mean(dim=1, keepdim=True)
        size = here.abs().mean(dim=1, keepdim=True)
        relative = apart / (size + torch.finfo(size.dtype).eps)
        total = total + functional.interpolate(
            relative, size=image.shape[-2:], mode="bilinear", align_corners=False
        )
    return total / len(own)


def _smooth(values: Tensor, spec: ErrorMapSpec) -> Tensor:
    """Apply the median filter, then the Gaussian: float32 [B, 1, H, W]."""
    if spec.median_px > 1:
        values = _filter_median(values, spec.median_px)
    return blur(values, spec.smooth_sigma_share * values.shape[-1])


def _filter_median(values: Tensor, window_px: int) -> Tensor:
    """Give the median of each pixel's square surroundings: float32 [B, 1, H, W].

    Forgetful selection (Paeth 1990, Graphics Gems, "Median finding on a 3x3 grid"): among half of
    the values and two more, neither the least nor the greatest can be the median, so both are
    dropped and the next value taken in. On whole pictures ten times quicker than sorting.
    """
    reach = window_px // 2
    padded = functional.pad(values, (reach,) * 4, mode="replicate")
    rows, columns = values.shape[-2:]
    waiting = [
        padded[..., row : row + rows, column : column + columns]
        for row in range(window_px)
        for column in range(window_px)
    ]
    held = [waiting.pop() for _ in range(len(waiting) // 2 + 2)]
    while waiting:
        held = [*_drop_extremes(held), waiting.pop()]
    while len(held) > 1:
        held = _drop_extremes(held)
    return held[0]


def _drop_extremes(planes: list[Tensor]) -> list[Tensor]:
    """Drop, at each pixel, the least and the greatest of three or more values."""
    planes = list(planes)
    last = len(planes) - 1
    for index in range(len(planes) // 2):
        mirror = last - index
        low, high = planes[index], planes[mirror]
        planes[index], planes[mirror] = torch.minimum(low, high), torch.maximum(low, high)
    half = (len(planes) + 1) // 2
    for index in range(1, half):
        low, high = planes[0], planes[index]
        planes[0], planes[index] = torch.minimum(low, high), torch.maximum(low, high)
    for index in range(len(planes) - half, last):
        low, high = planes[index], planes[last]
        planes[index], planes[last] = torch.minimum(low, high), torch.maximum(low, high)
    return planes[1:-1]
