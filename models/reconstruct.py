"""Normalized tensor to the network's reconstruction of it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional

from models.networks.reconstruction import Network, Reconstruction

# Slices of one forward pass. Kernels are chosen by the shape of the batch, and each sums in its own
# order; with one shape a slice is redrawn to the same bits whatever stands beside it. A processor
# is as quick slice by slice; a GPU wants many, and the last pass is filled up with empty ones.
SLICES_PER_PASS = {"cpu": 1}
SLICES_PER_PASS_ON_GPU = 32

# Kernels also split their sums by the number of threads; scores must not depend on the machine's.
SCORING_THREADS = 1


@contextmanager
def fixed_threads() -> Iterator[None]:
    """Compute with `SCORING_THREADS` threads, so that equal scans score equally everywhere.

    Threads started inside inherit the number. Setting it, even to what it is, makes PyTorch throw
    the kernels away that oneDNN prepared, so nested calls change nothing.
    """
    before = torch.get_num_threads()
    if before == SCORING_THREADS:
        yield
        return
    torch.set_num_threads(SCORING_THREADS)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def reconstruct(network: Network, image: Tensor) -> Reconstruction:
    """Ask the network to redraw the slices.

    Args:
        network: in evaluation mode, on any device.
        image: float32 [B, C, H, W], 0..1, share of the intensity window.

    Returns:
        Tensors of the same batch on the CPU; `image` float32 [B, C, H, W], 0..1.
    """
    device = next(network.parameters()).device
    count = SLICES_PER_PASS.get(device.type, SLICES_PER_PASS_ON_GPU)
    with fixed_threads():
        parts = [_reconstruct_pass(network, part, count) for part in torch.split(image, count)]
    return Reconstruction(
        image=torch.cat([part.image for part in parts]),
        log_variance=_join([part.log_variance for part in parts]),
        latent_mean=_join([part.latent_mean for part in parts]),
        latent_log_variance=_join([part.latent_log_variance for part in parts]),
    )


def _reconstruct_pass(network: Network, image: Tensor, count: int) -> Reconstruction:
    """Redraw up to `count` slices in one pass of that shape."""
    given = len(image)
    device = next(network.parameters()).device
    filled = functional.pad(image, (0, 0, 0, 0, 0, 0, 0, count - given))
    with torch.inference_mode():
        drawn = network(filled.to(device).contiguous(memory_format=torch.channels_last))
    return Reconstruction(
        image=drawn.image[:given].float().clamp(0.0, 1.0).cpu().contiguous(),
        log_variance=_bring(drawn.log_variance, given),
        latent_mean=_bring(drawn.latent_mean, given),
        latent_log_variance=_bring(drawn.latent_log_variance, given),
    )


def _bring(values: Tensor | None, count: int) -> Tensor | None:
    return None if values is None else values[:count].float().cpu().contiguous()


def _join(parts: list[Tensor | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    return torch.cat(present) if present else None
