"""Coarse noise that a denoising network learns to take away (Kascenas et al. 2022, MIDL)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from training.recipe import NoiseSpec


@dataclass(frozen=True, slots=True)
class CoarseNoise:
    """Noise of a batch before it is enlarged.

    `cells`: float32 [B, C, N, N], any value, share of the intensity window.
    `offset_shares`: float32 [B, 2], 0..1, how far rows and columns are rolled, share of the side.
    """

    cells: Tensor
    offset_shares: Tensor

    def take(self, part: slice) -> "CoarseNoise":
        """Keep a part of the batch."""
        return CoarseNoise(self.cells[part], self.offset_shares[part])


def draw_noise(
    spec: NoiseSpec, count: int, channels: int, generator: torch.Generator
) -> CoarseNoise:
    """Draw Gaussian noise on a coarse grid for each slice, and where its grid begins."""
    cells = torch.randn(count, channels, spec.cells, spec.cells, generator=generator)
    return CoarseNoise(cells * spec.sigma, torch.rand(count, 2, generator=generator))


def add_noise(image: Tensor, foreground: Tensor, noise: CoarseNoise) -> Tensor:
    """Add the noise, smoothly enlarged, inside the foreground.

    It is rolled by a random offset so that the grid leaves no pattern to recognize it by.

    Args:
        image: float32 [B, C, H, W], 0..1.
        foreground: bool [B, 1, H, W]; True inside the body.
        noise: one for each slice.

    Returns:
        float32 [B, C, H, W], may leave 0..1 as in the paper: clamping would tell where noise is.
    """
    side = image.shape[-1]
    smooth = functional.interpolate(
        noise.cells.to(image.device), size=image.shape[-2:], mode="bilinear", align_corners=False
    )
    offsets = (noise.offset_shares * side).long().tolist()
    rolled = torch.stack(
        [
            one.roll((rows, columns), dims=(1, 2))
            for one, (rows, columns) in zip(smooth, offsets, strict=True)
        ]
    )
    return image + rolled * foreground
