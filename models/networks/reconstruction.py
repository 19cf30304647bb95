"""What every network gives, and the parent that all networks share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Reconstruction:
    """A scan redrawn by a network, with what the network knows beside it.

    `image`: float32 [B, C, H, W], 0..1 in evaluation, unclamped in training, the scale of the scan.
    `log_variance`: float32 [B, C, H, W], log of the predicted variance of each pixel; None where
    the network predicts none.
    `latent_mean`: float32 [B, Z]; None for a network without a dense latent.
    `latent_log_variance`: float32 [B, Z]; None unless the latent is a distribution.
    `address_entropy`: float32 [B], nats, how widely a memory was read; None but in the training of
    a network with a memory.
    """

    image: Tensor
    log_variance: Tensor | None = None
    latent_mean: Tensor | None = None
    latent_log_variance: Tensor | None = None
    address_entropy: Tensor | None = None


class Network(nn.Module, ABC):
    """Redraws a normalized scan; the parent of all networks.

    In evaluation the same image gives the same reconstruction whatever its batch, and the image is
    clamped to 0..1. In training it is left unclamped, so that every pixel keeps its gradient.
    """

    def __init__(self, channels: int, size_px: int) -> None:
        super().__init__()
        self.channels = channels
        self.size_px = size_px

    @abstractmethod
    def forward(self, image: Tensor, generator: torch.Generator | None = None) -> Reconstruction:
        """Redraw a batch of images.

        Args:
            image: float32 [B, C, H, W], 0..1, share of the intensity window.
            generator: where a network that samples in training draws from, on any device; its
                state is all that exact resumption needs. Others ignore it.
        """

    def check_image(self, image: Tensor) -> None:
        """Refuse a tensor that is not a batch of the images this network was built for.

        Raises:
            ValueError: wrong number of axes, channels, rows or columns.
        """
        expected = (self.channels, self.size_px, self.size_px)
        if image.ndim != 4 or tuple(image.shape[1:]) != expected:
            raise ValueError(f"expected an image [B, *{expected}], found {tuple(image.shape)}")

    def limit(self, image: Tensor) -> Tensor:
        """Clamp a redrawn image to 0..1 in evaluation; give float32 whatever autocast did."""
        return image.float() if self.training else image.float().clamp(0.0, 1.0)
