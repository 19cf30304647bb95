"""Autoencoder with a memory of healthy latents (Gong et al. 2019, arXiv 1904.02639, MemAE)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks.layers import Decoder, Encoder
from models.networks.reconstruction import Network, Reconstruction
from models.specs import MemorySpec

# Keeps quotients and logarithms of shares of attention finite.
SMALLEST_SHARE = 1e-12


class MemoryAutoencoder(Network):
    """Draws not the latent of a scan but the few of a learnt memory that are nearest to it."""

    def __init__(self, spec: MemorySpec) -> None:
        super().__init__(spec.channels, spec.size_px)
        self.threshold = spec.shrink / spec.items
        self.encoder = Encoder(spec.channels, spec.size_px, spec.width)
        self.compress = nn.Linear(self.encoder.features, spec.latent)
        self.memory = nn.Linear(spec.latent, spec.items, bias=False)  # an item a row
        self.decoder = Decoder(spec.channels, spec.size_px, spec.width, spec.latent)

    def forward(self, image: Tensor, generator: torch.Generator | None = None) -> Reconstruction:
        """Redraw a batch of images; float32 [B, C, H, W], 0..1. The generator is not used."""
        del generator
        self.check_image(image)
        latent = self.compress(self.encoder(image)).float()  # [B, Z]
        shares = self._address(latent)  # [B, N]
        drawn = self.decoder(shares @ self.memory.weight)
        entropy = -(shares * (shares + SMALLEST_SHARE).log()).sum(dim=1) if self.training else None
        return Reconstruction(self.limit(drawn), latent_mean=latent, address_entropy=entropy)

    def _address(self, latent: Tensor) -> Tensor:
        """Give each item its share of attention, small ones none; float32 [B, N], sums to 1."""
        lengths = self.memory.weight.float().norm(dim=1).clamp_min(SMALLEST_SHARE)
        likeness = self.memory(functional.normalize(latent, dim=1)).float() / lengths
        shares = likeness.softmax(dim=1)
        # Equation 7, the differentiable form of hard shrinkage.
        above = functional.relu(shares - self.threshold)
        kept = above * shares / ((shares - self.threshold).abs() + SMALLEST_SHARE)
        # Where nothing is above the threshold all items count as they were.
        kept = torch.where(kept.sum(dim=1, keepdim=True) > 0, kept, shares)
        return kept / kept.sum(dim=1, keepdim=True).clamp_min(SMALLEST_SHARE)
