"""Normalized tensor to the network's reconstruction of it."""

import torch
from torch import Tensor

from models.networks.reconstruction import Network, Reconstruction

# Slices a forward pass takes at once; bounds the memory of a volume.
CHUNK_SLICES = 32


def reconstruct(network: Network, image: Tensor) -> Reconstruction:
    """Ask the network to redraw the slices.

    Args:
        network: in evaluation mode, on any device.
        image: float32 [B, C, H, W], 0..1, share of the intensity window.

    Returns:
        Tensors of the same batch on the CPU; `image` float32 [B, C, H, W], 0..1.
    """
    parts = [_reconstruct_chunk(network, chunk) for chunk in torch.split(image, CHUNK_SLICES)]
    return Reconstruction(
        image=torch.cat([part.image for part in parts]),
        log_variance=_join([part.log_variance for part in parts]),
        latent_mean=_join([part.latent_mean for part in parts]),
        latent_log_variance=_join([part.latent_log_variance for part in parts]),
    )


def _reconstruct_chunk(network: Network, image: Tensor) -> Reconstruction:
    device = next(network.parameters()).device
    with torch.inference_mode():
        given = network(image.to(device).contiguous(memory_format=torch.channels_last))
    return Reconstruction(
        image=given.image.float().clamp(0.0, 1.0).cpu().contiguous(),
        log_variance=_to_cpu(given.log_variance),
        latent_mean=_to_cpu(given.latent_mean),
        latent_log_variance=_to_cpu(given.latent_log_variance),
    )


def _to_cpu(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.float().cpu().contiguous()


def _join(parts: list[Tensor | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    return torch.cat(present) if present else None
