"""Healthy slices moved a little, so that a small cohort shows more of what is healthy."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from training.recipe import AugmentSpec


@dataclass(frozen=True, slots=True)
class Motions:
    """How each slice of a batch is moved.

    `affine`: float32 [B, 2, 3], from places in the moved picture to the given one, -1..1.
    `gamma`: float32 [B], exponent of the intensity.
    """

    affine: Tensor
    gamma: Tensor

    def take(self, part: slice) -> "Motions":
        """Keep a part of the batch."""
        return Motions(self.affine[part], self.gamma[part])


def draw_motions(spec: AugmentSpec, count: int, generator: torch.Generator) -> Motions:
    """Draw a shift, rotation, scale, flip and gamma for each slice, on the CPU."""

    def draw(reach: float) -> Tensor:
        return (2.0 * torch.rand(count, generator=generator) - 1.0) * reach

    angle = draw(math.radians(spec.rotation_deg))
    scale = 1.0 + draw(spec.scale_share)
    # The coordinates of affine_grid run from -1 to 1: the side is 2.
    shift_columns, shift_rows = draw(2.0 * spec.shift_share), draw(2.0 * spec.shift_share)
    gamma = 1.0 + draw(spec.gamma_share)
    across = torch.where((draw(1.0) > 0) & spec.flip_columns, -scale, scale)
    down = torch.where((draw(1.0) > 0) & spec.flip_rows, -scale, scale)
    to_columns = torch.stack([across * angle.cos(), -down * angle.sin(), shift_columns], dim=1)
    to_rows = torch.stack([across * angle.sin(), down * angle.cos(), shift_rows], dim=1)
    return Motions(torch.stack([to_columns, to_rows], dim=1), gamma)


def move_slices(image: Tensor, foreground: Tensor, motions: Motions) -> tuple[Tensor, Tensor]:
    """Move slices and their foreground; what comes in from outside the picture is no foreground.

    Args:
        image: float32 [B, C, H, W], 0..1.
        foreground: bool [B, 1, H, W]; True inside the body.
        motions: one for each slice.

    Returns:
        image: float32 [B, C, H, W], 0..1, beyond the border its outermost pixels repeated, so that
            no black wedge is learned.
        foreground: bool [B, 1, H, W]; True inside the body.
    """
    grid = functional.affine_grid(
        motions.affine.to(image.device), list(image.shape), align_corners=False
    )
    moved = functional.grid_sample(image, grid, padding_mode="border", align_corners=False)
    inside = functional.grid_sample(foreground.to(image.dtype), grid, align_corners=False) > 0.5
    gamma = motions.gamma.to(image.device)[:, None, None, None]
    return moved.clamp(0.0, 1.0) ** gamma, inside
