"""What a network has to beat: eight simple detectors with one interface, fitted to the healthy."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Final, Self

import torch
from sklearn.covariance import LedoitWolf
from sklearn.utils.extmath import randomized_svd
from torch import Tensor
from torch.nn import functional

from models.networks.statistics import compute_image_statistics, compute_laplacian, mean_inside

# Standard deviation under which a pixel counts as constant: half a step of an 8 bit picture.
CONSTANT_DEVIATION = 0.5 / 255
PCA_COMPONENTS = 32
# The randomized solver (Halko et al. 2011) draws from its own generator: every fit is the same.
PCA_SEED = 0
# Directions with less than this share of the largest singular value are rounding, not anatomy.
PCA_SMALLEST_SHARE = 1e-5
BLUR_SIGMA_SHARE = 0.05
WHOLE_FOREGROUND = 1.0
HOTTEST_SHARE = 0.01
# Training scans whose statistics are measured at once, in float64: bounds memory.
CHUNK_IMAGES = 64


class Baseline(ABC):
    """A detector of a few lines. Higher scores are stranger, as everywhere.

    `pooled_share` is the share of the hottest pixels of the foreground that a score averages:
    everything for distances to the cohort, the hottest for what only a focal finding lifts.
    """

    pooled_share: ClassVar[float] = WHOLE_FOREGROUND

    @abstractmethod
    def fit(self, images: Tensor, foreground: Tensor) -> Self:
        """Learn from healthy scans.

        Args:
            images: float32 [N, 1, H, W], 0..1, share of the intensity window; two or more.
            foreground: bool [N, 1, H, W]; True inside the body.
        """

    @abstractmethod
    def score(self, images: Tensor, foreground: Tensor) -> Tensor:
        """Give one number a scan.

        Args:
            images: float32 [B, 1, H, W], 0..1, share of the intensity window.
            foreground: bool [B, 1, H, W]; True inside the body.

        Returns:
            float64 [B]; finite, also where the foreground is empty.
        """

    def error_map(self, images: Tensor) -> Tensor | None:
        """Give the strangeness of each pixel; None for a baseline that sees only whole scans.

        Args:
            images: float32 [B, 1, H, W], 0..1, share of the intensity window.

        Returns:
            float32 [B, 1, H, W], 0 or more, neither smoothed nor cut to the body.
        """
        del images
        return None


class MapBaseline(Baseline):
    """A baseline that sees pixels, and averages them into its score."""

    @abstractmethod
    def error_map(self, images: Tensor) -> Tensor:
        """Give the strangeness of each pixel; float32 [B, 1, H, W], 0 or more."""

    def score(self, images: Tensor, foreground: Tensor) -> Tensor:
        """Average the hottest pixels of the foreground; float64 [B]."""
        return _pool(self.error_map(images), foreground, self.pooled_share)


class NaiveBayes(MapBaseline):
    """Each pixel an independent Gaussian: squared deviation over the healthy variance."""

    def fit(self, images: Tensor, foreground: Tensor) -> Self:
        """Learn mean and variance of each pixel."""
        del foreground
        self._variance, self._mean = torch.var_mean(images.double(), dim=0, correction=0)
        return self

    def error_map(self, images: Tensor) -> Tensor:
        """Give the squared deviation of each pixel in units of its healthy variance."""
        variance = self._variance + CONSTANT_DEVIATION**2
        return ((images - self._mean).square() / variance).float()


class PcaReconstruction(MapBaseline):
    """Squared residual of the projection on the principal components of healthy scans."""

    def fit(self, images: Tensor, foreground: Tensor) -> Self:
        """Learn the components."""
        del foreground
        flat = images.flatten(1)
        self._mean = flat.double().mean(dim=0).float()
        count = min(PCA_COMPONENTS, len(flat) - 1, flat.shape[1])
        centred = (flat - self._mean).numpy()
        _, values, directions = randomized_svd(centred, count, random_state=PCA_SEED)
        is_kept = values > PCA_SMALLEST_SHARE * max(values[0], CONSTANT_DEVIATION)
        self._components = torch.from_numpy(directions[is_kept])  # float32 [K, H W]
        return self

    def error_map(self, images: Tensor) -> Tensor:
        """Give the squared residual of each pixel."""
        centred = images.flatten(1) - self._mean
        redrawn = centred @ self._components.T @ self._components
        return (centred - redrawn).square().view_as(images)


class MeanDistance(MapBaseline):
    """Absolute distance to the mean healthy image."""

    def fit(self, images: Tensor, foreground: Tensor) -> Self:
        """Learn the mean image."""
        del foreground
        self._mean = images.double().mean(dim=0).float()
        return self

    def error_map(self, images: Tensor) -> Tensor:
        """Give the absolute distance of each pixel."""
        return (images - self._mean).abs()


class RawIntensity(MapBaseline):
    """Bright is strange."""

    pooled_share = HOTTEST_SHARE

    def fit(self, images: Tensor, foreground: Tensor) -> Self:
        """Learn nothing."""
        del images, foreground
        return self

    def error_map(self, images: Tensor) -> Tensor:
        """Give the images themselves."""
        return images.clone()


class BlurResidual(MapBaseline):
    """Absolute distance to the blurred image."""

    pooled_share = HOTTEST_SHARE

    def fit(self, images: Tensor, foreground: Tensor) -> Self:
        """Learn nothing."""
        del images, foreground
        return self

    def error_map(self, images: Tensor) -> Tensor:
        """Give the absolute distance of each pixel to its surroundings."""
        return (images - _blur(images, BLUR_SIGMA_SHARE * images.shape[-1])).abs()


class SharpnessHigh(Baseline):
    """Sharp is strange: mean absolute Laplacian inside the foreground."""

    def fit(self, images: Tensor, foreground: Tensor) -> Self:
        """Learn nothing."""
        del images, foreground
        return self

    def score(self, images: Tensor, foreground: Tensor) -> Tensor:
        """Give the mean absolute Laplacian; float64 [B]."""
        return mean_inside(compute_laplacian(images.double()).abs(), foreground)


class SharpnessLow(SharpnessHigh):
    """Soft is strange: the same number with its sign turned."""

    def score(self, images: Tensor, foreground: Tensor) -> Tensor:
        """Give the mean absolute Laplacian times -1; float64 [B], 0 or less."""
        return -super().score(images, foreground)


class ImageStatistics(Baseline):
    """Mahalanobis distance of seven image statistics (Ledoit and Wolf 2004)."""

    def fit(self, images: Tensor, foreground: Tensor) -> Self:
        """Learn centre, scale and shrunk covariance of the statistics."""
        parts = zip(*(torch.split(t, CHUNK_IMAGES) for t in (images, foreground)), strict=True)
        statistics = torch.cat([compute_image_statistics(*part) for part in parts])
        self._deviation, self._mean = torch.std_mean(statistics, dim=0, correction=0)
        # Shrinkage pulls towards equal variances: bring the seven to one scale first.
        self._deviation = torch.where(self._deviation > 0, self._deviation, 1.0)
        self._covariance = LedoitWolf().fit(self._standardize(statistics))
        return self

    def score(self, images: Tensor, foreground: Tensor) -> Tensor:
        """Give the distance to the healthy statistics; float64 [B]."""
        statistics = compute_image_statistics(images, foreground)
        squared = self._covariance.mahalanobis(self._standardize(statistics))
        return torch.from_numpy(squared).clamp(min=0.0).sqrt()

    def _standardize(self, statistics: Tensor) -> Tensor:
        return (statistics - self._mean) / self._deviation


BASELINES: Final[dict[str, type[Baseline]]] = {
    "naive_bayes": NaiveBayes,
    "pca": PcaReconstruction,
    "mean_distance": MeanDistance,
    "raw_intensity": RawIntensity,
    "blur_residual": BlurResidual,
    "sharpness_high": SharpnessHigh,
    "sharpness_low": SharpnessLow,
    "image_statistics": ImageStatistics,
}


def _pool(errors: Tensor, foreground: Tensor, share: float) -> Tensor:
    """Average the hottest share of the foreground of each map; float64 [B]."""
    if share >= WHOLE_FOREGROUND:
        return mean_inside(errors, foreground)
    inside = torch.where(foreground, errors.double(), -math.inf).flatten(1)
    hottest = inside.sort(dim=1, descending=True).values
    counts = (foreground.flatten(1).sum(dim=1) * share).ceil().long()[:, None]  # [B, 1]
    is_kept = torch.arange(hottest.shape[1]) < counts
    total = torch.where(is_kept, hottest, 0.0).sum(dim=1)
    return total / counts[:, 0].clamp(min=1)


def _blur(images: Tensor, sigma_px: float) -> Tensor:
    """Blur with a Gaussian over the whole picture, edges replicated; [B, 1, H, W]."""
    radius = min(math.ceil(3 * sigma_px), images.shape[-1] - 1)
    offsets = torch.arange(-radius, radius + 1, dtype=images.dtype)
    kernel = torch.softmax(-0.5 * (offsets / sigma_px).square(), dim=0)
    padded = functional.pad(images, (radius,) * 4, mode="replicate")
    rows = functional.conv2d(padded, kernel.view(1, 1, -1, 1))
    return functional.conv2d(rows, kernel.view(1, 1, 1, -1))
