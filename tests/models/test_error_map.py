import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scipy import ndimage
from skimage.metrics import structural_similarity

from models.error_map import (
    HealthyPixels,
    _filter_median,
    blur,
    build_error_map,
    compute_ssim,
    erode_foreground,
)
from models.networks.reconstruction import Reconstruction
from models.normalize import normalize_scan
from models.specs import ErrorMapSpec, ForegroundSpec, NormalizeSpec, NoWindowSpec
from tests.builders.networks import make_images
from tests.builders.scans import make_scan
from tests.strategies import maps

SIDE = 24
SPEC = NormalizeSpec(
    size_px=SIDE, window=NoWindowSpec(kind="none"), foreground=ForegroundSpec(method="full")
)


def make_normalized(image):
    """Give a normalized scan whose image is this: float32 [B, 1, SIDE, SIDE]."""
    return normalize_scan(make_scan(image[:, 0].numpy()), SPEC)


def build(image, redrawn, healthy=None, log_variance=None, **spec):
    reconstruction = Reconstruction(redrawn, log_variance=log_variance)
    return build_error_map(
        make_normalized(image), reconstruction, ErrorMapSpec(**spec), healthy, None
    )


def compute_ssim_by_hand(first, second, sigma):
    """Give the SSIM of two pictures [H, W] by a loop over windows; borders replicated."""
    reach = int(np.ceil(3 * sigma))
    way = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights = np.outer(way, way) / way.sum() ** 2
    padded = [np.pad(each.astype(np.float64), reach, mode="edge") for each in (first, second)]
    result = np.zeros(first.shape)
    for row, column in np.ndindex(first.shape):
        a, b = (each[row : row + 2 * reach + 1, column : column + 2 * reach + 1] for each in padded)
        mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
        variance_a = (weights * (a - mean_a) ** 2).sum()
        variance_b = (weights * (b - mean_b) ** 2).sum()
        covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
        result[row, column] = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
        result[row, column] /= (mean_a**2 + mean_b**2 + 1e-4) * (variance_a + variance_b + 9e-4)
    return result


@pytest.mark.parametrize("sigma", [0.7, 1.5, 3.0])
def test_structural_similarity_is_that_of_the_definition(sigma):
    first, second = make_images(2, size_px=SIDE)[:, 0].numpy()

    found = compute_ssim(torch.tensor(first)[None, None], torch.tensor(second)[None, None], sigma)

    expected = compute_ssim_by_hand(first, second, sigma)
    np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=2e-4)


def test_structural_similarity_agrees_with_scikit_image_away_from_the_border():
    first, second = make_images(2, size_px=48)[:, 0].numpy()

    found = compute_ssim(torch.tensor(first)[None, None], torch.tensor(second)[None, None], 1.5)

    _, expected = structural_similarity(
        first, second, data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, full=True, truncate=3.0,
    )  # fmt: skip
    inner = slice(6, -6)
    np.testing.assert_allclose(found[0, 0, inner, inner], expected[inner, inner], atol=2e-3)


def test_a_picture_is_like_itself():
    image = make_images(1, size_px=SIDE)

    torch.testing.assert_close(
        compute_ssim(image, image, 2.0), torch.ones_like(image), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("window", [3, 5, 7])
@pytest.mark.parametrize("shape", [(1, 1, 17, 24), (2, 1, 9, 9)])
def test_the_median_filter_is_that_of_scipy(window, shape):
    values = torch.rand(shape, generator=torch.Generator().manual_seed(1))

    found = _filter_median(values, window)

    expected = ndimage.median_filter(values.numpy(), size=(1, 1, window, window), mode="nearest")
    np.testing.assert_array_equal(found.numpy(), expected)


@settings(max_examples=30, deadline=None)
@given(values=maps(7))
def test_the_median_filter_survives_ties(values):
    found = _filter_median(torch.tensor(values)[None, None], 3)

    np.testing.assert_array_equal(
        found[0, 0].numpy(), ndimage.median_filter(values, size=3, mode="nearest")
    )


@pytest.mark.parametrize("sigma", [0.5, 2.0, 9.0])
def test_the_blur_is_that_of_scipy(sigma):
    values = make_images(1, size_px=SIDE)

    found = blur(values, sigma)[0, 0].numpy()

    reach = int(np.ceil(3 * sigma))
    expected = ndimage.gaussian_filter(values[0, 0].numpy(), sigma, mode="nearest", radius=reach)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_no_blur_is_the_values_themselves():
    values = make_images(1, size_px=SIDE)

    assert blur(values, 0.0) is values


@pytest.mark.parametrize("pixels", [0, 1, 3])
def test_erosion_takes_a_border_off_and_beyond_the_picture_is_no_body(pixels):
    inside = torch.rand(2, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(3)) > 0.02

    found = erode_foreground(inside, pixels)

    square = np.ones((2 * pixels + 1,) * 2, dtype=bool)
    for eroded, plane in zip(found[:, 0].numpy(), inside[:, 0].numpy(), strict=True):
        np.testing.assert_array_equal(eroded, ndimage.binary_erosion(plane, square))


@pytest.mark.parametrize(("distance", "expected"), [("absolute", 0.25), ("squared", 0.0625)])
def test_distances_are_what_their_names_say(distance, expected):
    image = make_images(1, size_px=SIDE) * 0.5 + 0.25

    found = build(image, image - 0.25, distance=distance)

    torch.testing.assert_close(
        found.values, torch.full_like(found.values, expected), atol=1e-5, rtol=0
    )


def test_the_structural_distance_sees_texture_that_the_absolute_one_hardly_sees():
    image = make_images(1, size_px=SIDE) * 0.2 + 0.4
    dotted = image.clone()
    dotted[..., ::2, ::2] += 0.05

    structural = build(image, dotted, distance="structural").values.mean()
    absolute = build(image, dotted, distance="absolute").values.mean()

    assert structural > 5 * absolute


def test_a_predicted_variance_forgives_errors_where_it_is_large():
    image = make_images(1, size_px=SIDE) * 0.5 + 0.25
    log_variance = torch.zeros_like(image)
    log_variance[..., : SIDE // 2] = -4.0

    values = build(image, image - 0.2, log_variance=log_variance, distance="variance").values

    assert values[..., : SIDE // 2].min() > values[..., SIDE // 2 :].max()


@pytest.mark.parametrize("distance", ["perceptual", "variance"])
def test_what_a_distance_needs_must_be_given(distance):
    image = make_images(1, size_px=SIDE)

    with pytest.raises(ValueError, match=r"needs|variance"):
        build(image, image, distance=distance)


def test_healthy_pixels_divide_the_error():
    image = make_images(1, size_px=SIDE) * 0.5 + 0.25
    mean = torch.full((1, 1, SIDE, SIDE), 0.1)
    healthy = HealthyPixels(mean=mean, deviation=mean / 2)
    spec = {"is_normalized": True, "healthy_deviations": 2.0, "healthy_floor": 0.05}

    values = build(image, image - 0.25, healthy, **spec).values

    torch.testing.assert_close(values, torch.ones_like(values), atol=1e-4, rtol=0)


def test_a_normalized_map_without_healthy_pixels_is_refused():
    image = make_images(1, size_px=SIDE)

    with pytest.raises(ValueError, match="healthy"):
        build(image, image, is_normalized=True)


def test_pictures_of_two_shapes_are_refused():
    image = make_images(1, size_px=SIDE)

    with pytest.raises(ValueError, match="differ in shape"):
        build(image, image[..., :-1])


def test_the_map_is_zero_outside_of_the_eroded_body():
    picture = np.zeros((SIDE, SIDE), dtype=np.float32)
    picture[4:20, 4:20] = 0.8
    scan = normalize_scan(
        make_scan(picture), NormalizeSpec(size_px=SIDE, window=NoWindowSpec(kind="none"))
    )
    drawn = Reconstruction(torch.zeros_like(scan.image))
    spec = ErrorMapSpec(erosion_share=2 / SIDE, smooth_sigma_share=0.1)

    found = build_error_map(scan, drawn, spec, None, None)

    assert torch.equal(found.foreground, erode_foreground(scan.foreground, 2))
    assert (found.values[~found.foreground] == 0.0).all()
    assert (found.values[found.foreground] > 0.0).all()
