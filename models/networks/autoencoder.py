"""Convolutional autoencoder with a dense latent; optionally with a learned variance."""

import torch
from torch import Tensor, nn

from models.networks.layers import Decoder, Encoder, limit_log_variance
from models.networks.reconstruction import Network, Reconstruction
from models.specs import AutoencoderSpec


class Autoencoder(Network):
    """Strided encoder, dense latent, mirrored decoder.

    With `has_variance` the decoder draws a second picture, the log-variance of each pixel (AE-U,
    Mao et al. 2020, MICCAI).
    """

    def __init__(self, spec: AutoencoderSpec) -> None:
        super().__init__(spec.channels, spec.size_px)
        self.has_variance = spec.has_variance
        drawn = 2 * spec.channels if spec.has_variance else spec.channels
        self.encoder = Encoder(spec.channels, spec.size_px, spec.width)
        self.compress = nn.Linear(self.encoder.features, spec.latent)
        self.decoder = Decoder(drawn, spec.size_px, spec.width, spec.latent)

    def forward(self, image: Tensor, generator: torch.Generator | None = None) -> Reconstruction:
        """Redraw a batch of images; float32 [B, C, H, W], 0..1. The generator is not used."""
        del generator
        self.check_image(image)
        latent = self.compress(self.encoder(image)).float()  # [B, Z]
        drawn = self.decoder(latent)  # [B, C or 2 C, H, W]
        if not self.has_variance:
            return Reconstruction(self.limit(drawn), latent_mean=latent)
        redrawn, raw = drawn.chunk(2, dim=1)
        return Reconstruction(self.limit(redrawn), limit_log_variance(raw.float()), latent)
