import math

import pytest
import torch
from scipy.stats import skew

from models.networks.statistics import STATISTICS, compute_image_statistics, compute_laplacian
from tests.builders.networks import make_generator, make_images

WHOLE = torch.ones(1, 1, 32, 32, dtype=torch.bool)


def measure(image, foreground=WHOLE) -> dict[str, float]:
    found = compute_image_statistics(image, foreground)
    return dict(zip(STATISTICS, found[0].tolist(), strict=True))


def test_statistics_are_those_of_numpy_and_scipy():
    image = make_images(1)
    values = image.double().numpy()

    found = measure(image)

    assert found["foreground_share"] == 1.0
    assert found["mean"] == pytest.approx(values.mean())
    assert found["standard_deviation"] == pytest.approx(values.std())
    assert found["skewness"] == pytest.approx(skew(values, axis=None))


def test_only_the_foreground_counts():
    image, foreground = make_images(1), WHOLE.clone()
    foreground[..., 16:] = False
    brighter = image.clone()
    brighter[..., 20:] = 1.0

    assert measure(image, foreground) == measure(brighter, foreground)
    assert measure(image, foreground)["foreground_share"] == 0.5


def test_a_flat_picture_has_no_spread_of_any_kind():
    found = measure(torch.full((1, 1, 32, 32), 0.25))

    assert found.pop("mean") == 0.25
    assert found.pop("foreground_share") == 1.0
    assert set(found.values()) == {0.0}


def test_an_even_histogram_has_the_largest_entropy():
    ramp = ((torch.arange(32 * 32) + 0.5) / (32 * 32)).view(1, 1, 32, 32)

    assert measure(ramp)["entropy"] == pytest.approx(math.log(64))


def test_a_ramp_has_a_gradient_and_no_laplacian():
    ramp = (torch.arange(32) / 32).expand(1, 1, 32, 32)
    foreground = WHOLE.clone()
    foreground[..., [0, -1]] = False

    found = measure(ramp, foreground)

    assert found["gradient"] == pytest.approx(1 / 32)
    assert found["sharpness"] == pytest.approx(0.0)


def test_the_laplacian_of_a_point_is_the_five_point_stencil():
    point = torch.zeros(1, 1, 5, 5)
    point[0, 0, 2, 2] = 1.0

    found = compute_laplacian(point)[0, 0]

    expected = torch.zeros(5, 5)
    expected[2, 2] = -4.0
    expected[[1, 3, 2, 2], [2, 2, 1, 3]] = 1.0
    assert torch.equal(found, expected)


def test_an_empty_foreground_gives_zeros():
    found = compute_image_statistics(make_images(2), torch.zeros(2, 1, 32, 32, dtype=torch.bool))

    assert torch.equal(found, torch.zeros(2, 7, dtype=torch.float64))


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_do_not_depend_on_the_batch(channels):
    images = make_images(4, channels=channels)
    foreground = torch.rand(4, 1, 32, 32, generator=make_generator()) > 0.3

    together = compute_image_statistics(images, foreground)

    assert together.dtype == torch.float64
    for index in range(4):
        alone = compute_image_statistics(images[[index]], foreground[[index]])
        torch.testing.assert_close(alone[0], together[index])
