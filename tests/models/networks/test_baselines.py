"""One suite for all baselines, then what each of them is for."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from torch import Tensor

from models.networks.baselines import BASELINES, Baseline
from tests.builders.networks import make_generator, make_images

FLOAT_TOLERANCE = 1e-5

every_baseline = pytest.mark.parametrize("name", BASELINES)


def make_foreground(count: int) -> Tensor:
    foreground = torch.zeros(count, 1, 32, 32, dtype=torch.bool)
    foreground[..., 4:28, 4:28] = True
    return foreground


def fit(name: str, count: int = 40) -> Baseline:
    return BASELINES[name]().fit(make_images(count), make_foreground(count))


def make_noisy(images: Tensor) -> Tensor:
    return (images + 0.2 * torch.randn(images.shape, generator=make_generator(9))).clamp(0, 1)


def make_smooth_blob(images: Tensor) -> Tensor:
    blob = torch.zeros(1, 1, 32, 32)
    blob[..., 10:18, 12:20] = 1.0
    return torch.lerp(images, torch.ones(()), blob)


@every_baseline
def test_a_score_is_one_finite_float64_a_scan(name):
    scores = fit(name).score(make_images(5, seed=2), make_foreground(5))

    assert scores.shape == (5,)
    assert scores.dtype == torch.float64
    assert scores.isfinite().all()


@every_baseline
def test_an_error_map_has_the_shape_of_the_scans_or_is_not_there(name):
    errors = fit(name).error_map(make_images(5, seed=2))

    if name in {"sharpness_high", "sharpness_low", "image_statistics"}:
        assert errors is None
    else:
        assert errors.shape == (5, 1, 32, 32)
        assert errors.dtype == torch.float32
        assert errors.min() >= 0.0


@every_baseline
def test_a_score_does_not_depend_on_the_rest_of_the_batch(name):
    baseline, images, foreground = fit(name), make_images(6, seed=2), make_foreground(6)

    together = baseline.score(images, foreground)

    alone = torch.cat([baseline.score(images[[i]], foreground[[i]]) for i in range(6)])
    torch.testing.assert_close(alone, together, atol=FLOAT_TOLERANCE, rtol=FLOAT_TOLERANCE)


@every_baseline
def test_two_fits_to_the_same_scans_give_the_same_scores(name):
    images, foreground = make_images(6, seed=2), make_foreground(6)

    assert torch.equal(fit(name).score(images, foreground), fit(name).score(images, foreground))


# The other two project or blur the whole picture before they look at the foreground.
@pytest.mark.parametrize("name", sorted(set(BASELINES) - {"pca", "blur_residual"}))
def test_nothing_outside_the_foreground_counts_but_for_its_border(name):
    baseline, images, foreground = fit(name), make_images(3, seed=2), make_foreground(3)
    changed = images.clone()
    changed[..., :2, :] = 1.0

    assert torch.equal(baseline.score(changed, foreground), baseline.score(images, foreground))


@every_baseline
def test_an_empty_foreground_gives_a_finite_score(name):
    empty = torch.zeros(2, 1, 32, 32, dtype=torch.bool)

    assert fit(name).score(make_images(2), empty).isfinite().all()


@every_baseline
@pytest.mark.parametrize("count", [2, 40])
def test_constant_training_scans_are_survived(name, count):
    flat, foreground = torch.full((count, 1, 32, 32), 0.5), make_foreground(count)

    baseline = BASELINES[name]().fit(flat, foreground)

    assert baseline.score(make_images(count), foreground).isfinite().all()


@every_baseline
def test_neither_scans_nor_global_generators_are_touched(name):
    images, foreground = make_images(6), make_foreground(6)
    before = images.clone(), torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 the global state is what is looked at

    baseline = BASELINES[name]().fit(images, foreground)
    baseline.score(images, foreground)

    assert torch.equal(images, before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert np.array_equal(np.random.get_state()[1], before[2])  # noqa: NPY002 as above


@pytest.mark.parametrize(
    ("name", "make_strange"),
    [
        ("naive_bayes", make_smooth_blob),
        ("pca", make_smooth_blob),
        ("mean_distance", make_smooth_blob),
        ("raw_intensity", make_smooth_blob),
        ("blur_residual", make_noisy),
        ("sharpness_high", make_noisy),
        ("image_statistics", make_noisy),
    ],
)
def test_each_baseline_sees_what_it_is_made_for(name, make_strange):
    healthy = make_images(30, seed=5)
    scans = torch.cat([healthy, make_strange(make_images(30, seed=6))])

    scores = fit(name, count=100).score(scans, make_foreground(60))

    assert roc_auc_score([0] * 30 + [1] * 30, scores) > 0.75


def test_the_two_directions_of_sharpness_are_opposite():
    images, foreground = make_images(5), make_foreground(5)

    high = fit("sharpness_high").score(images, foreground)

    assert torch.equal(fit("sharpness_low").score(images, foreground), -high)


def test_the_projection_is_that_of_an_exact_principal_component_analysis():
    images, strange = make_images(40), make_noisy(make_images(4, seed=2))
    # The pictures have 25 degrees of freedom: 25 of the 32 components are there to be found.
    exact = PCA(25, svd_solver="full").fit(images.flatten(1).numpy())
    flat = strange.flatten(1).numpy()

    errors = fit("pca").error_map(strange)

    expected = (flat - exact.inverse_transform(exact.transform(flat))) ** 2
    np.testing.assert_allclose(errors.flatten(1).numpy(), expected, atol=1e-4)


def test_the_blur_is_that_of_scipy():
    image = make_noisy(make_images(1))

    errors = fit("blur_residual").error_map(image)

    own = image[0, 0].double().numpy()
    blurred = gaussian_filter(own, 0.05 * 32, mode="nearest", radius=5)
    np.testing.assert_allclose(errors[0, 0].numpy(), np.abs(own - blurred), atol=1e-5)


def test_a_focal_baseline_averages_the_hottest_hundredth_of_the_foreground():
    image, foreground = torch.zeros(1, 1, 32, 32), make_foreground(1)
    image[0, 0, 10, 10:13] = 0.8
    image[0, 0, 0, 0] = 1.0  # outside

    score = fit("raw_intensity").score(image, foreground)

    assert score.item() == pytest.approx(3 * 0.8 / 6)  # 6 is a hundredth of 24 x 24, rounded up
