"""Pixel metrics from binned maps agree with exact ones and with cases worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from training.pixel_metrics import BINS, PixelCounts, bin_values

BINNING_TOLERANCE = 1e-3


def draw_maps(seed: int, *, offset: float) -> list[tuple[str, np.ndarray, np.ndarray | None]]:
    generator = np.random.default_rng(seed)
    maps: list[tuple[str, np.ndarray, np.ndarray | None]] = []
    for index in range(12):
        values = generator.gamma(2.0, 0.2, size=(32, 32)) + offset
        mask = None
        if index % 3:
            mask = np.zeros((32, 32), dtype=bool)
            row, column = generator.integers(0, 24, size=2)
            mask[row : row + 6, column : column + 8] = True
            values = values + 0.5 * mask
        maps.append((f"patient{index // 2}", values.astype(np.float32), mask))
    return maps


def count(maps: list[tuple[str, np.ndarray, np.ndarray | None]], blocks: int = 128) -> PixelCounts:
    counts = PixelCounts(blocks)
    for patient, values, mask in maps:
        counts.add(patient, values, mask)
    return counts


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=40))
def test_bins_keep_the_order_of_values(values: list[float]) -> None:
    ordered = np.sort(np.array(values, dtype=np.float32))

    bins = bin_values(ordered)

    assert (np.diff(bins) >= 0).all()
    assert bins.min() >= 0
    assert bins.max() < BINS


@pytest.mark.parametrize("offset", [0.0, -3.0, 40.0])
def test_binned_precision_and_dice_are_close_to_exact_ones(offset: float) -> None:
    maps = draw_maps(0, offset=offset)

    metrics = count(maps).compute()

    zeros = np.zeros((32, 32), dtype=bool)
    values = np.concatenate([values.ravel() for _, values, _ in maps])
    truth = np.concatenate([(zeros if mask is None else mask).ravel() for *_, mask in maps])
    in_abnormal = np.concatenate([np.full(1024, mask is not None) for *_, mask in maps])
    tolerance = BINNING_TOLERANCE * (30 if offset == 40.0 else 1)  # noise is 1 % of such values
    assert metrics["ap"] == pytest.approx(average_precision_score(truth, values), abs=tolerance)
    assert metrics["ap_abnormal"] == pytest.approx(
        average_precision_score(truth[in_abnormal], values[in_abnormal]), abs=tolerance
    )
    dice = [
        2 * (truth & (values >= threshold)).sum() / (truth.sum() + (values >= threshold).sum())
        for threshold in np.quantile(values, np.linspace(0.5, 1, 400))
    ]
    assert metrics["best_dice"] == pytest.approx(max(dice), abs=2 * tolerance)


def test_overlap_of_a_perfect_map_is_one() -> None:
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:4, 2:4] = True

    metrics = count([("a", mask.astype(np.float32), mask)]).compute()

    assert metrics["aupro"] == pytest.approx(1.0)
    assert metrics["best_dice"] == 1.0


def test_each_region_counts_alike_whatever_its_size() -> None:
    mask = np.zeros((20, 20), dtype=bool)
    mask[0:10, 0:10] = True
    mask[15, 15] = True
    values = np.zeros((20, 20), dtype=np.float32)
    values[0:10, 0:10] = 1.0  # the large region is found, the single pixel is not
    values[15, 15] = -1.0

    metrics = count([("a", values, mask)]).compute()

    # the curve starts at overlap 1/2 and stays there: every other pixel outside ties at 0
    assert metrics["aupro"] == pytest.approx(0.5)


def test_overlap_rises_along_the_false_alarms_up_to_the_limit() -> None:
    mask = np.zeros((1, 20), dtype=bool)
    mask[0, :10] = True
    values = np.zeros((1, 20), dtype=np.float32)
    values[0, 10] = 3.0  # one false alarm of ten first,
    values[0, :10] = 2.0  # then the whole region,
    values[0, 11:] = 1.0  # then the rest

    metrics = count([("a", values, mask)]).compute()

    # overlap 0 up to a false alarm rate of 0.1, then 1 up to the limit of 0.3
    assert metrics["aupro"] == pytest.approx(2 / 3)


def test_neighbours_across_a_corner_are_one_region() -> None:
    mask = np.eye(4, dtype=bool)
    values = np.zeros((4, 4), dtype=np.float32)
    values[0, 0] = 1.0

    corner = count([("a", values, mask)]).compute()["aupro"]

    # one region with a quarter of it found: 0.25 and rising to 1 with the tie at zero
    assert corner == pytest.approx(0.25 + 0.75 * 0.3 / 2)


def test_without_masks_pixel_metrics_are_undefined() -> None:
    metrics = count([("a", np.ones((4, 4), dtype=np.float32), None)]).compute()

    assert all(np.isnan(value) for value in metrics.values())


def test_intervals_hold_the_estimate_and_sharing_blocks_changes_no_metric() -> None:
    maps = draw_maps(1, offset=0.0)
    counts = count(maps)

    intervals = counts.bootstrap(200, np.random.default_rng(0))
    metrics = counts.compute()

    assert all(low <= metrics[name] <= high for name, (low, high) in intervals.items())
    assert count(maps, blocks=2).compute() == pytest.approx(metrics)


def test_a_patient_whose_first_mask_comes_late_stays_one_patient() -> None:
    mask = np.zeros((4, 4), dtype=bool)
    mask[0, 0] = True
    values = np.arange(16, dtype=np.float32).reshape(4, 4)

    counts = count([("a", values, None), ("a", values, mask), ("b", values, mask)])

    low, high = counts.bootstrap(50, np.random.default_rng(0))["ap_abnormal"]
    assert (low, high) == pytest.approx((1 / 16, 1 / 16))


@pytest.mark.parametrize(
    ("values", "mask"),
    [(np.full((2, 2), np.nan), None), (np.zeros((2, 2)), np.zeros((3, 3), dtype=bool))],
)
def test_maps_that_cannot_be_measured_are_refused(values: np.ndarray, mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"finite|shape"):
        count([("a", values.astype(np.float32), mask)])


def test_the_hottest_point_of_a_slice_is_in_its_mask_or_not():
    counts = PixelCounts(4)
    mask = np.array([[True, False], [False, False]])
    counts.add("a", np.array([[9.0, 1.0], [1.0, 1.0]], np.float32), mask)
    counts.add("a", np.array([[1.0, 9.0], [1.0, 1.0]], np.float32), mask)

    assert counts.hottest_inside_share == 0.5
    assert counts.clean_share is None


def test_a_healthy_slice_is_clean_up_to_the_threshold():
    counts = PixelCounts(4)
    for hottest in (0.5, 1.0, 1.1, 7.0):
        counts.add("a", np.array([[0.0, hottest]], np.float32), None)

    assert counts.clean_share == 0.5
    assert counts.hottest_inside_share is None
