"""Frozen features for the perceptual distance: the first blocks of EfficientNet-Lite0.

Later blocks know dogs from cars; up to the fifth they know edges and textures, which serve scans
too. Detectors on features that a bundle is compared with go deeper, as their papers do. Batch norm
is folded into the convolutions beforehand (`training/perceptual_weights.py`), so that the weights
are small enough to travel in a bundle and the package they came from stays behind.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.errors import WeightsMismatch

# TensorFlow's preprocessing of EfficientNet-Lite: (value in 0..255 - 127) / 128.
INPUT_SCALE = 255 / 128
INPUT_SHIFT = -127 / 128
STEM_CHANNELS = 32


@dataclass(frozen=True, slots=True)
class BlockShape:
    """One inverted residual block (Sandler et al. 2018); `is_tapped` gives its output away."""

    kernel_px: int
    stride: int
    expansion: int
    channels_in: int
    channels_out: int
    is_tapped: bool


# Tan and Le 2019, table 1, without squeeze and excitation; the last block of each resolution.
BLOCKS = (
    BlockShape(3, 1, 1, 32, 16, is_tapped=True),
    BlockShape(3, 2, 6, 16, 24, is_tapped=False),
    BlockShape(3, 1, 6, 24, 24, is_tapped=True),
    BlockShape(5, 2, 6, 24, 40, is_tapped=False),
    BlockShape(5, 1, 6, 40, 40, is_tapped=True),
)
# The same network up to its eleventh block, given away at a quarter, an eighth and a sixteenth.
DEEP_BLOCKS = (
    BlockShape(3, 1, 1, 32, 16, is_tapped=False),
    *BLOCKS[1:],
    BlockShape(3, 2, 6, 40, 80, is_tapped=False),
    BlockShape(3, 1, 6, 80, 80, is_tapped=False),
    BlockShape(3, 1, 6, 80, 80, is_tapped=False),
    BlockShape(5, 1, 6, 80, 112, is_tapped=False),
    BlockShape(5, 1, 6, 112, 112, is_tapped=False),
    BlockShape(5, 1, 6, 112, 112, is_tapped=True),
)


class PerceptualFeatures(nn.Module):
    """Image to feature maps, with `BLOCKS` at a half, a quarter and an eighth; never trained."""

    def __init__(self, shapes: Sequence[BlockShape]) -> None:
        super().__init__()
        self.shapes = tuple(shapes)
        self.stem = SameConv(3, STEM_CHANNELS, 3, stride=2, groups=1)
        self.blocks = nn.ModuleList(InvertedResidual(shape) for shape in shapes)
        self.requires_grad_(requires_grad=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Give the feature maps of an image; gradients pass to the image.

        Args:
            image: float32 [B, C, H, W], 0..1; other than three channels are averaged to grey.

        Returns:
            float32, of each tapped block its map; with `BLOCKS` [B, 16, H / 2, W / 2],
            [B, 24, H / 4, W / 4], [B, 40, H / 8, W / 8].
        """
        if image.shape[1] != 3:
            image = image.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        features = functional.relu6(self.stem(image * INPUT_SCALE + INPUT_SHIFT))
        taps = []
        for block, shape in zip(self.blocks, self.shapes, strict=True):
            features = block(features)
            if shape.is_tapped:
                taps.append(features)
        return taps


class InvertedResidual(nn.Module):
    """Widen, filter each channel by itself, narrow; the input is added where shapes allow."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        wide = shape.channels_in * shape.expansion
        self.expand = (
            SameConv(shape.channels_in, wide, 1, stride=1, groups=1)
            if shape.expansion > 1
            else None
        )
        self.depthwise = SameConv(wide, wide, shape.kernel_px, stride=shape.stride, groups=wide)
        self.project = SameConv(wide, shape.channels_out, 1, stride=1, groups=1)
        self.is_residual = shape.stride == 1 and shape.channels_in == shape.channels_out

    def forward(self, features: Tensor) -> Tensor:
        """Give float32 [B, K', H', W'] of float32 [B, K, H, W]."""
        wide = features if self.expand is None else functional.relu6(self.expand(features))
        narrow: Tensor = self.project(functional.relu6(self.depthwise(wide)))
        return narrow + features if self.is_residual else narrow


class SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow's SAME: more at the bottom and right where it is odd."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel_px: int, *, stride: int, groups: int
    ) -> None:
        super().__init__(channels_in, channels_out, kernel_px, stride=stride, groups=groups)

    def forward(self, features: Tensor) -> Tensor:
        """Give float32 [B, K', ceil(H / stride), ceil(W / stride)]."""
        (top, bottom), (left, right) = (
            _split_padding(side, self.kernel_size[0], self.stride[0])
            for side in features.shape[-2:]
        )
        return super().forward(functional.pad(features, (left, right, top, bottom)))


def build_perceptual_features(
    weights: Mapping[str, Tensor], shapes: Sequence[BlockShape] = BLOCKS
) -> PerceptualFeatures:
    """Build the feature network from folded weights.

    Raises:
        WeightsMismatch: a weight is missing, unknown or of another shape.
    """
    with torch.device("meta"):
        features = PerceptualFeatures(shapes)
    try:
        features.load_state_dict(dict(weights), strict=True, assign=True)
    except RuntimeError as error:
        raise WeightsMismatch("the weights do not fit the perceptual features") from error
    return features.requires_grad_(requires_grad=False)


def _split_padding(side: int, kernel_px: int, stride: int) -> tuple[int, int]:
    total = max((math.ceil(side / stride) - 1) * stride + kernel_px - side, 0)
    return total // 2, total - total // 2
