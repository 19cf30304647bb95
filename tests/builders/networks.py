"""Small networks and smooth pictures for tests."""

import torch
from torch import Tensor
from torch.nn import functional

from models.networks.build import build_network
from models.networks.reconstruction import Network
from models.specs import (
    AutoencoderSpec,
    DenoisingUnetSpec,
    MemorySpec,
    NetworkSpec,
    VariationalSpec,
)

KINDS = ("ae", "ae_variance", "vae", "vae_samples", "memae", "denoising_unet")


def make_generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def make_spec(kind: str, *, size_px: int = 32, channels: int = 1, width: int = 8) -> NetworkSpec:
    """Give the spec of one of `KINDS`."""
    shape = {"size_px": size_px, "channels": channels, "width": width}
    if kind.startswith("ae"):
        return AutoencoderSpec(**shape, latent=8, has_variance=kind == "ae_variance")
    if kind.startswith("vae"):
        return VariationalSpec(
            **shape, kind="vae", latent=8, samples=4 if kind == "vae_samples" else 0
        )
    if kind == "memae":
        return MemorySpec(**shape, kind="memae", latent=8, items=12)
    return DenoisingUnetSpec(**shape, kind="denoising_unet")


def make_network(kind: str, **shape: int) -> Network:
    return build_network(make_spec(kind, **shape), make_generator())


def make_images(count: int, *, size_px: int = 32, channels: int = 1, seed: int = 1) -> Tensor:
    """Give smooth pictures, float32 [count, channels, size_px, size_px], 0..1."""
    coarse = torch.rand(count, channels, 5, 5, generator=make_generator(seed))
    return functional.interpolate(coarse, size=size_px, mode="bilinear", align_corners=False)
