"""148 numbers that tell what kind of picture a slice is, and hardly what disease is in it.

Where edges run in which direction (histograms of oriented gradients on a coarse grid, Dalal and
Triggs 2005), how grey levels are spread, how much detail there is at four scales. All are taken
from coarse pictures, so a lesion moves them little; another organ or a turned picture, much.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from models.networks.statistics import compute_gradient, compute_laplacian

DIRECTIONS = 8
CELLS = 4
COARSE_PX = 32
GREY_LEVELS = 16
HALVINGS = 4
# Numbers of each of the three kinds, in order.
GROUPS = (DIRECTIONS * CELLS**2, GREY_LEVELS, HALVINGS)
SIZE = sum(GROUPS)
# Keeps the logarithm finite where a picture has no detail at all.
LEAST_DETAIL = 1e-3


def compute_descriptor(image: Tensor) -> Tensor:
    """Describe each slice.

    Args:
        image: float32 [B, C, H, W], 0..1, share of the intensity window; channels are averaged.

    Returns:
        float64 [B, 148]: roots of gradient length by direction and cell, roots of the shares of
        grey levels, logarithms of the mean absolute Laplacian from fine to coarse.
    """
    grey = image.double().mean(dim=1, keepdim=True)
    return torch.cat([_describe_edges(grey), _spread_greys(grey), _measure_detail(grey)], dim=1)


def _describe_edges(grey: Tensor) -> Tensor:
    """Sum gradient lengths by direction and cell: float64 [B, 128]."""
    rows, columns = compute_gradient(functional.adaptive_avg_pool2d(grey, COARSE_PX))
    turn_share = torch.atan2(rows, columns) / (2 * math.pi) + 0.5
    direction = (turn_share * DIRECTIONS).long().clamp(0, DIRECTIONS - 1)
    one_hot = functional.one_hot(direction[:, 0], DIRECTIONS).movedim(-1, 1)
    lengths = torch.hypot(rows, columns) * one_hot  # [B, 8, 32, 32]
    return functional.adaptive_avg_pool2d(lengths, CELLS).flatten(1).sqrt()


def _spread_greys(grey: Tensor) -> Tensor:
    """Give the root of the share of each grey level: float64 [B, 16]."""
    levels = (grey * GREY_LEVELS).long().clamp(0, GREY_LEVELS - 1).flatten(1)
    counts = grey.new_zeros(len(grey), GREY_LEVELS)
    counts.scatter_add_(1, levels, torch.ones_like(levels, dtype=counts.dtype))
    return (counts / levels.shape[1]).sqrt()


def _measure_detail(grey: Tensor) -> Tensor:
    """Give the detail at each halving of the picture: float64 [B, 4]."""
    detail = []
    for halving in range(HALVINGS):
        side = max(2, grey.shape[-1] >> halving)
        smaller = grey if halving == 0 else functional.adaptive_avg_pool2d(grey, side)
        detail.append(compute_laplacian(smaller).abs().mean(dim=(1, 2, 3)))
    return (torch.stack(detail, dim=1) + LEAST_DETAIL).log()
