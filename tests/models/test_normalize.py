import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import EmptyForeground, NonFinitePixels, UnscorableScan
from models.normalize import Frame, fit_frame, normalize_scan
from models.specs import FixedWindowSpec, ForegroundSpec, NormalizeSpec, NoWindowSpec
from tests.builders.cohorts import make_picture
from tests.builders.scans import make_scan
from tests.strategies import normalize_specs, scans, sides, spacings

HALF_PIXEL = 0.5
FULL = ForegroundSpec(method="full")


@settings(max_examples=60, deadline=None)
@given(scan=scans(), spec=normalize_specs)
def test_values_stay_in_0_to_1_whatever_the_scan(scan, spec):
    try:
        normalized = normalize_scan(scan, spec)
    except UnscorableScan:
        return

    shape = (scan.slice_count, 1, spec.size_px, spec.size_px)
    assert normalized.image.shape == normalized.foreground.shape == shape
    assert normalized.image.dtype == torch.float32
    assert normalized.foreground.dtype == torch.bool
    assert normalized.image.min() >= 0.0
    assert normalized.image.max() <= 1.0


@settings(max_examples=100, deadline=None)
@given(rows=sides, columns=sides, spacing=spacings, spec=normalize_specs, data=st.data())
def test_a_point_mapped_to_the_tensor_and_back_stays(rows, columns, spacing, spec, data):
    scan = make_scan(np.zeros((rows, columns)), spacing_mm=spacing)
    frame = fit_frame(scan, spec)
    point = np.array(
        [[data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))]], dtype=float
    )

    there = frame.to_tensor(point)
    back = frame.to_original(there)

    assert np.abs(back - point).max() < HALF_PIXEL
    assert (there > -HALF_PIXEL).all()
    assert (there < spec.size_px - HALF_PIXEL).all()


@settings(max_examples=60, deadline=None)
@given(rows=sides, columns=sides, spacing=spacings, spec=normalize_specs)
def test_the_picture_lies_inside_the_square(rows, columns, spacing, spec):
    frame = fit_frame(make_scan(np.zeros((rows, columns)), spacing_mm=spacing), spec)

    assert frame.top >= 0
    assert frame.left >= 0
    assert frame.top + frame.height <= spec.size_px
    assert frame.left + frame.width <= spec.size_px
    assert min(frame.height, frame.width) >= 1


@pytest.mark.parametrize(
    ("shape", "spacing", "expected"),
    [
        ((100, 50), None, (32, 16)),
        ((50, 100), None, (16, 32)),
        ((100, 100), (1.0, 2.0), (16, 32)),
        ((100, 50), (1.0, 2.0), (32, 32)),
        ((1, 10_000), None, (1, 32)),
    ],
)
def test_padding_keeps_the_aspect_ratio_in_the_patient(shape, spacing, expected):
    frame = fit_frame(make_scan(np.zeros(shape), spacing_mm=spacing), NormalizeSpec(size_px=32))

    assert (frame.height, frame.width) == expected
    assert abs(2 * frame.top + frame.height - 32) <= 1
    assert abs(2 * frame.left + frame.width - 32) <= 1


def test_stretching_fills_the_square():
    spec = NormalizeSpec(size_px=32, fit="stretch")

    frame = fit_frame(make_scan(np.zeros((100, 50))), spec)

    assert (frame.top, frame.left, frame.height, frame.width) == (0, 0, 32, 32)


@pytest.mark.parametrize("shape", [(96, 64), (64, 96), (40, 40), (20, 31)])
def test_restored_maps_have_their_peak_where_the_points_say(shape):
    pixels = np.zeros(shape, dtype=np.float32)
    row, column = shape[0] // 3, shape[1] // 2
    pixels[row - 2 : row + 3, column - 2 : column + 3] = 1.0
    spec = NormalizeSpec(size_px=32, foreground=FULL, window=NoWindowSpec(kind="none"))
    normalized = normalize_scan(make_scan(pixels), spec)
    frame = normalized.frame

    restored = frame.restore_map(normalized.image)

    assert restored.shape == (1, *shape)
    weight = restored[0] / restored[0].sum()
    rows, columns = np.indices(shape)
    center = np.array([(weight * rows).sum(), (weight * columns).sum()])
    assert np.abs(center - (row, column)).max() < HALF_PIXEL
    there = frame.to_tensor(np.array([[row, column]], dtype=float))[0].round().astype(int)
    assert normalized.image[0, 0, there[0], there[1]] > 0.5


@pytest.mark.parametrize("shape", [(96, 64), (300, 31), (16, 16)])
def test_a_constant_map_is_restored_as_the_constant(shape):
    frame = fit_frame(make_scan(np.zeros(shape)), NormalizeSpec(size_px=32))

    restored = frame.restore_map(torch.full((2, 1, 32, 32), 0.75))

    np.testing.assert_allclose(restored, np.full((2, *shape), 0.75), atol=1e-6)


def test_nothing_of_the_map_beside_the_picture_comes_back():
    frame = Frame(rows=16, columns=32, top=8, left=0, height=16, width=32, size_px=32)
    values = torch.full((1, 1, 32, 32), 9.0)
    values[..., 8:24, :] = 1.0

    restored = frame.restore_map(values)

    assert (restored == 1.0).all()


def test_the_window_ends_at_the_percentiles_of_the_body():
    picture = make_picture(3, 64).astype(np.float32)

    normalized = normalize_scan(make_scan(picture), NormalizeSpec(size_px=64))

    body = picture[normalized.foreground[0, 0].numpy()]
    assert normalized.window == pytest.approx(np.percentile(body, (1, 99)))


def test_the_window_is_that_of_the_whole_volume():
    dark, bright = make_picture(1, 32).astype(np.float32), 3.0 * make_picture(2, 32)
    spec = NormalizeSpec(size_px=32)

    volume = normalize_scan(make_scan(np.stack([dark, bright])), spec)

    assert volume.image[0].max() < 0.6
    assert volume.image[1].max() == 1.0


def test_a_fixed_window_does_not_move_with_the_scan():
    spec = NormalizeSpec(
        size_px=32, window=FixedWindowSpec(kind="fixed", low=0, high=200), foreground=FULL
    )
    picture = make_picture(1, 32).astype(np.float32)

    image = normalize_scan(make_scan(picture), spec).image

    np.testing.assert_allclose(image[0, 0].numpy(), np.clip(picture / 200, 0, 1), atol=1e-6)


@pytest.mark.parametrize(("scale", "shift"), [(4096 / 255, 0.0), (0.01, -3.0), (1.0, 1000.0)])
def test_units_and_offset_change_nothing(scale, shift):
    picture = make_picture(4, 64).astype(np.float32)
    spec = NormalizeSpec(size_px=32)
    expected = normalize_scan(make_scan(picture), spec)

    found = normalize_scan(make_scan(picture * scale + shift), spec)

    assert torch.equal(found.foreground, expected.foreground)
    torch.testing.assert_close(found.image, expected.image, atol=1e-4, rtol=0)


def test_padding_counts_as_the_darkest_real_value():
    picture = make_picture(5, 32).astype(np.float32)
    padding = np.zeros((1, 32, 32), dtype=bool)
    padding[:, :4] = True
    padded = np.where(padding[0], -2000.0, picture)
    spec = NormalizeSpec(size_px=32)

    found = normalize_scan(make_scan(padded, padding=padding), spec)

    expected = normalize_scan(make_scan(np.where(padding[0], picture.min(), picture)), spec)
    assert torch.equal(found.image, expected.image)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_number_are_refused(bad):
    picture = make_picture(0).astype(np.float32)
    picture[3, 3] = bad

    with pytest.raises(NonFinitePixels):
        normalize_scan(make_scan(picture), NormalizeSpec(size_px=32))


@pytest.mark.parametrize("shape", [(1, 1), (40, 40), (1, 10_000), (10_000, 1)])
@pytest.mark.parametrize("spec", [NormalizeSpec(size_px=32), NormalizeSpec(foreground=FULL)])
def test_a_blank_picture_has_no_foreground(shape, spec):
    with pytest.raises(EmptyForeground):
        normalize_scan(make_scan(np.full(shape, 7.0)), spec)


def test_a_scan_of_padding_alone_has_no_foreground():
    scan = make_scan(np.zeros((8, 8)), padding=np.ones((1, 8, 8), dtype=bool))

    with pytest.raises(EmptyForeground):
        normalize_scan(scan, NormalizeSpec(size_px=32))


def test_normalizing_leaves_the_pixels_alone():
    scan = make_scan(make_picture(6, 32).astype(np.float32))
    before = scan.pixels.copy()

    normalize_scan(scan, NormalizeSpec(size_px=32, foreground=FULL))

    np.testing.assert_array_equal(scan.pixels, before)
