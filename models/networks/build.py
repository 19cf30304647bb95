"""Network spec to network, its first weights drawn from a generator."""

import math

import torch
from torch import nn

from models.networks.autoencoder import Autoencoder
from models.networks.denoising_unet import DenoisingUnet
from models.networks.memory import MemoryAutoencoder
from models.networks.reconstruction import Network
from models.networks.variational import VariationalAutoencoder
from models.specs import AutoencoderSpec, MemorySpec, NetworkSpec, VariationalSpec


def build_network(spec: NetworkSpec, generator: torch.Generator) -> Network:
    """Build the network of a spec on the CPU, in training mode.

    Args:
        spec: which network, and how large.
        generator: draws every first weight, on the CPU; the same state gives the same network, and
            the global generator is neither read nor moved.
    """
    network = build_skeleton(spec).to_empty(device="cpu")
    _initialize(network, generator)
    return network


def build_skeleton(spec: NetworkSpec) -> Network:
    """Build the network of a spec without memory for its weights, to describe it or to load it."""
    with torch.device("meta"):
        if isinstance(spec, AutoencoderSpec):
            return Autoencoder(spec)
        if isinstance(spec, MemorySpec):
            return MemoryAutoencoder(spec)
        if isinstance(spec, VariationalSpec):
            return VariationalAutoencoder(spec)
        return DenoisingUnet(spec)


@torch.no_grad()
def _initialize(network: Network, generator: torch.Generator) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            _initialize_weights(module, generator)
        elif isinstance(module, nn.GroupNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, VariationalAutoencoder):
            module.posterior_noise.normal_(generator=generator)


def _initialize_weights(module: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    """Draw as torch does by default (He et al. 2015, uniform, a = sqrt(5))."""
    nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
    if module.bias is not None:
        bound = 1 / math.sqrt(module.weight[0].numel())
        nn.init.uniform_(module.bias, -bound, bound, generator=generator)
