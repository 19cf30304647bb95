"""Seven numbers that describe a normalized scan, for the domain check and as a baseline."""

import torch
from torch import Tensor
from torch.nn import functional

STATISTICS = (
    "foreground_share",  # of the picture
    "mean",  # the others: of the pixels of the foreground
    "standard_deviation",
    "skewness",
    "entropy",  # nats, histogram of ENTROPY_BINS bins over 0..1
    "gradient",  # mean length of the central difference, per pixel
    "sharpness",  # mean absolute Laplacian
)
ENTROPY_BINS = 64
# Below this standard deviation (a share of the intensity window) a picture is flat: no skewness.
FLAT_DEVIATION = 1e-6


def compute_image_statistics(image: Tensor, foreground: Tensor) -> Tensor:
    """Describe each image by seven numbers over its foreground, in the order of `STATISTICS`.

    Moments above the third are left out: a single bright marker decides them.

    Args:
        image: float32 [B, C, H, W], 0..1, share of the intensity window; channels are averaged.
        foreground: bool [B, 1, H, W]; True inside the body.

    Returns:
        float64 [B, 7]; all 0 where the foreground is empty.
    """
    grey = image.double().mean(dim=1, keepdim=True)
    mean = mean_inside(grey, foreground)
    centred = grey - mean[:, None, None, None]
    deviation = mean_inside(centred.square(), foreground).sqrt()
    skewness = mean_inside(centred**3, foreground) / deviation.clamp(min=FLAT_DEVIATION) ** 3
    return torch.stack(
        [
            foreground.double().mean(dim=(1, 2, 3)),
            mean,
            deviation,
            torch.where(deviation > FLAT_DEVIATION, skewness, torch.zeros_like(skewness)),
            _compute_entropy(grey, foreground),
            mean_inside(torch.hypot(*compute_gradient(grey)), foreground),
            mean_inside(compute_laplacian(grey).abs(), foreground),
        ],
        dim=1,
    )


def compute_laplacian(image: Tensor) -> Tensor:
    """Apply the five-point Laplacian; [B, C, H, W] in, the same out, edges replicated."""
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    rows = padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1]
    columns = padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:]
    return rows + columns - 4.0 * image


def compute_gradient(image: Tensor) -> tuple[Tensor, Tensor]:
    """Give the central differences down the rows and along the columns, edges replicated."""
    padded = functional.pad(image, (1, 1, 1, 1), mode="replicate")
    rows = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    columns = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    return rows, columns


def mean_inside(values: Tensor, foreground: Tensor) -> Tensor:
    """Average over the foreground of each image.

    Args:
        values: float [B, 1, H, W].
        foreground: bool [B, 1, H, W]; True inside the body.

    Returns:
        float64 [B]; 0 where the foreground is empty.
    """
    weight = foreground.double()
    total = (values.double() * weight).sum(dim=(1, 2, 3))
    return total / weight.sum(dim=(1, 2, 3)).clamp(min=1.0)


def _compute_entropy(grey: Tensor, foreground: Tensor) -> Tensor:
    """Give the entropy of the histogram inside the foreground, in nats; float64 [B]."""
    bins = (grey * ENTROPY_BINS).long().clamp(0, ENTROPY_BINS - 1).flatten(1)  # [B, H W]
    counts = grey.new_zeros(len(grey), ENTROPY_BINS)
    counts.scatter_add_(1, bins, foreground.double().flatten(1))
    shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1.0)
    return -torch.xlogy(shares, shares).sum(dim=1)
