"""Denoising U-Net with skip connections (Kascenas et al. 2022, MIDL)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks.layers import ConvBlock, pad_to_multiple
from models.networks.reconstruction import Network, Reconstruction
from models.specs import DenoisingUnetSpec


class DenoisingUnet(Network):
    """Takes coarse noise away; what it takes away from an unseen scan is the anomaly.

    The noise belongs to training (`training/`): the network itself is an ordinary small U-Net.
    """

    def __init__(self, spec: DenoisingUnetSpec) -> None:
        super().__init__(spec.channels, spec.size_px)
        widths = [spec.width * 2**level for level in range(spec.levels)]
        self.multiple = 2 ** (spec.levels - 1)
        self.down = nn.ModuleList(
            DoubleBlock(channels_in, channels_out)
            for channels_in, channels_out in zip([spec.channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            DoubleBlock(deep + shallow, shallow)
            for deep, shallow in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.draw = nn.Conv2d(spec.width, spec.channels, 1)

    def forward(self, image: Tensor, generator: torch.Generator | None = None) -> Reconstruction:
        """Redraw a batch of images; float32 [B, C, H, W], 0..1. The generator is not used."""
        del generator
        self.check_image(image)
        *skips, features = self._descend(image)
        for block, skip in zip(self.up, reversed(skips), strict=True):
            enlarged = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = block(torch.cat([enlarged, skip], dim=1))  # [B, K / 2, 2 H', 2 W']
        redrawn = self.draw(features)[:, :, : self.size_px, : self.size_px]
        return Reconstruction(self.limit(redrawn))

    def encode(self, image: Tensor) -> list[Tensor]:
        """Give what the way down makes of images, below full size.

        Args:
            image: float32 [B, C, H, W], 0..1, share of the intensity window.

        Returns:
            float32, a map each level: [B, 2 width, H / 2, W / 2], [B, 4 width, H / 4, W / 4] ...
        """
        self.check_image(image)
        return self._descend(image)[1:]

    def _descend(self, image: Tensor) -> list[Tensor]:
        """Give the features of every level, full size first."""
        levels = [self.down[0](pad_to_multiple(image, self.multiple))]  # [B, width, H', W']
        for block in self.down[1:]:
            levels.append(block(functional.avg_pool2d(levels[-1], 2)))  # [B, 2 K, H' / 2, W' / 2]
        return levels


class DoubleBlock(nn.Sequential):
    """Two blocks one after the other, as on every level of a U-Net."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            ConvBlock(channels_in, channels_out, stride=1),
            ConvBlock(channels_out, channels_out, stride=1),
        )
