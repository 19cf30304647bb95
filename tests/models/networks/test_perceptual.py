import pytest
import torch

from models.errors import WeightsMismatch
from models.networks.perceptual import BLOCKS, PerceptualFeatures, build_perceptual_features
from tests.builders.networks import make_generator, make_images


def make_features() -> PerceptualFeatures:
    shapes = {name: t.shape for name, t in PerceptualFeatures(BLOCKS).state_dict().items()}
    generator = make_generator()
    return build_perceptual_features(
        {name: 0.2 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    )


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size_px", [32, 100])
def test_features_come_at_three_resolutions(size_px, channels):
    taps = make_features()(make_images(2, size_px=size_px, channels=channels))

    sides = [size_px // 2, size_px // 4, -(-size_px // 8)]
    assert [tuple(t.shape) for t in taps] == [
        (2, depth, side, side) for depth, side in zip((16, 24, 40), sides, strict=True)
    ]
    assert all(t.isfinite().all() for t in taps)


def test_a_grey_scan_is_seen_as_three_equal_channels():
    features, grey = make_features(), make_images(2)

    for own, threefold in zip(features(grey), features(grey.repeat(1, 3, 1, 1)), strict=True):
        torch.testing.assert_close(own, threefold)


def test_gradients_reach_the_image_and_no_weight():
    features, image = make_features(), make_images(2).requires_grad_()

    sum(t.square().sum() for t in features(image)).backward()

    assert image.grad is not None
    assert image.grad.any()
    assert all(not weight.requires_grad for weight in features.parameters())


@pytest.mark.parametrize("change", ["missing", "unknown", "reshaped"])
def test_weights_that_do_not_fit_are_refused(change):
    weights = PerceptualFeatures(BLOCKS).state_dict()
    if change == "missing":
        del weights["stem.bias"]
    elif change == "unknown":
        weights["stem.scale"] = torch.zeros(1)
    else:
        weights["stem.bias"] = torch.zeros(7)

    with pytest.raises(WeightsMismatch):
        build_perceptual_features(weights)
