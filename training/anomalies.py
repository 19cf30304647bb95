"""Healthy slices with a made-up anomaly: what checkpoints are chosen by, without any diseased scan.

None of them looks like a disease. They differ from healthy anatomy in the ways that diseases do:
a focus brighter or darker, a patch that belongs elsewhere (foreign patch interpolation, Tan et al.
2020, arXiv 2011.04197), wrong texture, haze over everything, lost sharpness, tissue pushed aside, a
structure that is gone or one too many, coarse noise.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.error_map import blur


@dataclass(frozen=True, slots=True)
class Batch:
    """Healthy slices.

    `image`: float32 [B, C, H, W], 0..1.
    `foreground`: bool [B, 1, H, W]; True inside the body.
    """

    image: Tensor
    foreground: Tensor


def insert_anomaly(batch: Batch, kind: str, generator: torch.Generator) -> Tensor:
    """Give each slice one anomaly of a kind, inside its foreground.

    Args:
        batch: on the CPU.
        kind: one of `ANOMALIES`.
        generator: draws place, size and strength.

    Returns:
        float32 [B, C, H, W], 0..1, equal to the given image outside the foreground.
    """
    changed = ANOMALIES[kind](batch, generator).clamp(0.0, 1.0)
    return torch.where(batch.foreground, changed, batch.image)


def _brighten(batch: Batch, generator: torch.Generator) -> Tensor:
    return batch.image + _draw(batch, 0.1, 0.4, generator) * _draw_focus(batch, generator)


def _darken(batch: Batch, generator: torch.Generator) -> Tensor:
    return batch.image - _draw(batch, 0.1, 0.4, generator) * _draw_focus(batch, generator)


def _paste(batch: Batch, generator: torch.Generator) -> Tensor:
    """Blend in a patch of another slice of the batch: float32 [B, C, H, W]."""
    share = _draw(batch, 0.4, 0.9, generator) * _draw_focus(batch, generator)
    return torch.lerp(batch.image, batch.image.roll(1, dims=0), share)


def _swap_texture(batch: Batch, generator: torch.Generator) -> Tensor:
    """Put fine detail of elsewhere on the grey level of here: float32 [B, C, H, W]."""
    side = batch.image.shape[-1]
    level = blur(batch.image, 0.04 * side)
    rows, columns = torch.randint(side // 4, side // 2, (2,), generator=generator).tolist()
    foreign = (batch.image - level).roll((rows, columns), dims=(2, 3))
    return torch.lerp(batch.image, level + 1.5 * foreign, _draw_focus(batch, generator))


def _haze(batch: Batch, generator: torch.Generator) -> Tensor:
    """Draw a veil of uneven density over everything: float32 [B, C, H, W]."""
    side = batch.image.shape[-1]
    cloud = blur(torch.randn(batch.foreground.shape, generator=generator), 0.15 * side)
    spread = cloud.amax((2, 3), keepdim=True) - cloud.amin((2, 3), keepdim=True)
    veil = (cloud - cloud.amin((2, 3), keepdim=True)) / spread.clamp_min(1e-6)
    density = _draw(batch, 0.2, 0.6, generator) * veil
    return torch.lerp(batch.image, blur(batch.image, 0.1 * side) + 0.1, density)


def _soften(batch: Batch, generator: torch.Generator) -> Tensor:
    """Take fine detail away everywhere: float32 [B, C, H, W]."""
    softened = blur(batch.image, 0.02 * batch.image.shape[-1])
    return torch.lerp(batch.image, softened, _draw(batch, 0.2, 0.8, generator))


def _push(batch: Batch, generator: torch.Generator) -> Tensor:
    """Push the surroundings of a place away from it, or pull them in: float32 [B, C, H, W]."""
    count, _, height, width = batch.foreground.shape
    focus = blur(_draw_focus(batch, generator), 0.06 * width)
    focus = focus / focus.amax((2, 3), keepdim=True).clamp_min(1e-6)
    down, right = torch.gradient(focus[:, 0], dim=(1, 2))
    uphill = torch.stack([right, down], dim=-1) * width  # [B, H, W, 2], change over the side
    signs = 1.0 - 2.0 * torch.randint(2, (count, 1, 1, 1), generator=generator)
    reach = signs * _draw(batch, 0.008, 0.02, generator)
    identity = torch.eye(2, 3).expand(count, 2, 3)
    grid = functional.affine_grid(identity, [count, 1, height, width], align_corners=False)
    return functional.grid_sample(
        batch.image, grid + reach * uphill, padding_mode="border", align_corners=False
    )


def _erase(batch: Batch, generator: torch.Generator) -> Tensor:
    """Fill a place with the smooth grey of its surroundings: float32 [B, C, H, W]."""
    surroundings = blur(batch.image, 0.08 * batch.image.shape[-1])
    return torch.lerp(batch.image, surroundings, _draw_focus(batch, generator))


def _add(batch: Batch, generator: torch.Generator) -> Tensor:
    """Draw another of a slice's own structures, mirrored, where it is not: float32 [B, C, H, W]."""
    side = batch.image.shape[-1]
    mirrored = batch.image.flip(3)
    detail = mirrored - blur(mirrored, 0.08 * side)
    strength = _draw(batch, 0.8, 1.6, generator) * _draw_focus(batch, generator)
    return batch.image + strength * detail


def _roughen(batch: Batch, generator: torch.Generator) -> Tensor:
    """Add coarse noise to a place: float32 [B, C, H, W]."""
    side = batch.image.shape[-1]
    cloud = blur(torch.randn(batch.foreground.shape, generator=generator), 0.02 * side)
    spread = cloud.std((2, 3), keepdim=True).clamp_min(1e-6)
    strength = _draw(batch, 0.05, 0.15, generator) * _draw_focus(batch, generator)
    return batch.image + strength * cloud / spread


ANOMALIES: dict[str, Callable[[Batch, torch.Generator], Tensor]] = {
    "bright": _brighten,
    "dark": _darken,
    "paste": _paste,
    "texture": _swap_texture,
    "haze": _haze,
    "soft": _soften,
    "mass": _push,
    "missing": _erase,
    "added": _add,
    "rough": _roughen,
}
# Those that touch everything; the others have a place.
DIFFUSE = frozenset({"haze", "soft"})


def _draw(batch: Batch, low: float, high: float, generator: torch.Generator) -> Tensor:
    """Draw one number for each slice: float32 [B, 1, 1, 1], low..high."""
    return low + (high - low) * torch.rand(len(batch.image), 1, 1, 1, generator=generator)


def _draw_focus(batch: Batch, generator: torch.Generator) -> Tensor:
    """Draw an ellipse with soft edges around a place in the body: float32 [B, 1, H, W], 0..1."""
    count, _, height, width = batch.foreground.shape
    # Each pixel gets a random number; the body pixel with the highest is the centre.
    lots = torch.rand(count, height * width, generator=generator) + batch.foreground.flatten(1)
    centre = lots.argmax(1)
    row, column = (centre // width)[:, None, None], (centre % width)[:, None, None]
    radii = (0.03 + 0.07 * torch.rand(2, count, 1, 1, generator=generator)) * height
    angle = math.pi * torch.rand(count, 1, 1, generator=generator)
    down = torch.arange(height)[None, :, None] - row
    right = torch.arange(width)[None, None, :] - column
    along = (right * angle.cos() + down * angle.sin()) / radii[0]
    across = (down * angle.cos() - right * angle.sin()) / radii[1]
    distance = (along.square() + across.square()).sqrt()
    # 1 in the middle, 1/2 at the radius, 0 beyond 1.4 radii.
    return torch.sigmoid(8.0 * (1.0 - distance))[:, None]
