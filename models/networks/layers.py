"""The parts that networks are built from: blocks, encoder, decoder, padding."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# Groups of GroupNorm (Wu and He 2018): per image, so that no batch leaves a trace in another.
GROUPS = 4
# The encoder halves the picture until its side is from SMALLEST_GRID to twice that, less one.
SMALLEST_GRID = 4
# Channels double from stage to stage up to this multiple of the width: 16-32-64-64 for width 16.
WIDEST_FACTOR = 4
# Standard deviations from 0.007 to 2.7 in units of the intensity window or of the prior: wider
# than anything a scan asks for, narrow enough that exp() and its inverse stay finite.
LOWEST_LOG_VARIANCE = -10.0
HIGHEST_LOG_VARIANCE = 2.0


class ConvBlock(nn.Sequential):
    """Convolution 3 x 3, GroupNorm, SiLU; `stride` 2 halves the picture."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__(
            nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1),
            nn.GroupNorm(math.gcd(GROUPS, channels_out), channels_out),
            nn.SiLU(),
        )


class Encoder(nn.Module):
    """Picture to flat features: strided blocks down to a small grid."""

    def __init__(self, channels: int, size_px: int, width: int) -> None:
        super().__init__()
        widths = list_stage_widths(size_px, width)
        self.multiple = 2 ** len(widths)
        self.stages = nn.Sequential(
            *(
                ConvBlock(channels_in, channels_out, stride=2)
                for channels_in, channels_out in zip([channels, *widths], widths, strict=False)
            )
        )
        self.features = widths[-1] * math.ceil(size_px / self.multiple) ** 2

    def forward(self, image: Tensor) -> Tensor:
        """Give float32 [B, features] of float32 [B, C, H, W]."""
        grid: Tensor = self.stages(pad_to_multiple(image, self.multiple))  # [B, K, grid, grid]
        return grid.flatten(1)


class Decoder(nn.Module):
    """Latent to picture: a dense layer, then enlarging blocks that mirror the encoder."""

    def __init__(self, channels: int, size_px: int, width: int, latent: int) -> None:
        super().__init__()
        widths = list_stage_widths(size_px, width)[::-1]
        grid = math.ceil(size_px / 2 ** len(widths))
        self.size_px = size_px
        self.shape = (widths[0], grid, grid)
        self.expand = nn.Linear(latent, math.prod(self.shape))
        self.stages = nn.Sequential(
            *(
                nn.Sequential(
                    # Nearest, not bilinear: its gradient is deterministic on every device.
                    nn.Upsample(scale_factor=2, mode="nearest"),
                    ConvBlock(channels_in, channels_out, stride=1),
                )
                for channels_in, channels_out in zip(widths, [*widths[1:], width], strict=True)
            )
        )
        self.draw = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        """Give float32 [B, C, H, W], unclamped, of float32 [B, Z]."""
        grid = functional.silu(self.expand(latent)).view(-1, *self.shape)  # [B, K, grid, grid]
        image: Tensor = self.draw(self.stages(grid))
        return image[:, :, : self.size_px, : self.size_px]


def list_stage_widths(size_px: int, width: int) -> list[int]:
    """Give the channels after each halving, from the picture down to the smallest grid."""
    stages = int(math.log2(size_px // SMALLEST_GRID))
    return [width * min(2**stage, WIDEST_FACTOR) for stage in range(stages)]


def pad_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples of `multiple`."""
    rows, columns = (-side % multiple for side in image.shape[-2:])
    if rows == 0 and columns == 0:
        return image
    return functional.pad(image, (0, columns, 0, rows), mode="replicate")


def limit_log_variance(raw: Tensor) -> Tensor:
    """Bend any number smoothly into the range of log-variances; 0 becomes its middle.

    Smooth, because a hard clamp has no gradient back from outside the range.
    """
    middle = (HIGHEST_LOG_VARIANCE + LOWEST_LOG_VARIANCE) / 2
    half = (HIGHEST_LOG_VARIANCE - LOWEST_LOG_VARIANCE) / 2
    return middle + half * torch.tanh(raw / half)
