import numpy as np
import pytest

from models.regions import find_regions
from models.specs import ErrorMapSpec, RegionSpec

SPEC = RegionSpec(error_map=ErrorMapSpec(), minimum_area_share=0.0)


def make_map(*blocks, slices=1, shape=(40, 60)):
    """Give an error map with blocks of (slice, row, column, height, width, value)."""
    error_map = np.full((slices, *shape), 0.5, dtype=np.float32)
    for index, row, column, height, width, value in blocks:
        error_map[index, row : row + height, column : column + width] = value
    return error_map


def test_a_block_above_the_threshold_is_one_region():
    error_map = make_map((0, 5, 10, 4, 6, 2.0))
    error_map[0, 7, 12] = 3.0

    (region,) = find_regions(error_map, (0.5, 2.0), SPEC)

    assert region.slice_index == 0
    assert region.box == (5, 10, 9, 16)
    assert region.area_px == 24
    assert region.area_mm2 == pytest.approx(24.0)
    assert region.peak == (7, 12)
    assert region.peak_value == 3.0


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [(None, None), ((1.0, 1.0), 24.0), ((0.1, 5.0), 12.0), ((0.143, 0.143), 24 * 0.143**2)],
)
def test_the_area_counts_rows_and_columns_by_their_own_spacing(spacing, expected):
    (region,) = find_regions(make_map((0, 5, 10, 4, 6, 2.0)), spacing, SPEC)

    assert region.area_mm2 == (None if expected is None else pytest.approx(expected))


def test_diagonal_neighbours_belong_together_and_others_do_not():
    touching = make_map((0, 5, 5, 2, 2, 2.0), (0, 7, 7, 2, 2, 2.0))
    apart = make_map((0, 5, 5, 2, 2, 2.0), (0, 8, 8, 2, 2, 2.0))

    assert len(find_regions(touching, None, SPEC)) == 1
    assert len(find_regions(apart, None, SPEC)) == 2


def test_a_value_at_the_threshold_is_no_region():
    assert find_regions(make_map((0, 5, 5, 3, 3, 1.0)), None, SPEC) == ()


def test_regions_too_small_to_count_are_dropped():
    spec = RegionSpec(error_map=ErrorMapSpec(), minimum_area_share=10 / (40 * 60))
    error_map = make_map((0, 5, 5, 3, 3, 9.0), (0, 20, 20, 2, 5, 2.0))

    (region,) = find_regions(error_map, None, spec)

    assert region.area_px == 10


def test_the_strangest_come_first_over_all_slices_and_no_more_than_asked_for():
    spec = RegionSpec(error_map=ErrorMapSpec(), minimum_area_share=0.0, maximum_count=2)
    error_map = make_map((0, 5, 5, 3, 3, 2.0), (1, 5, 5, 3, 3, 4.0), (2, 5, 5, 3, 3, 3.0), slices=3)

    regions = find_regions(error_map, None, spec)

    assert [region.slice_index for region in regions] == [1, 2]


def test_equal_peaks_have_a_fixed_order():
    error_map = make_map(
        (1, 5, 5, 3, 3, 2.0), (0, 20, 5, 3, 3, 2.0), (0, 5, 9, 3, 3, 2.0), slices=2
    )

    regions = find_regions(error_map, None, SPEC)

    assert [(region.slice_index, region.box[0]) for region in regions] == [(0, 5), (0, 20), (1, 5)]


def test_a_ring_around_another_region_keeps_its_own_area_and_peak():
    error_map = make_map((0, 0, 0, 9, 9, 2.0), (0, 1, 1, 7, 7, 0.5), (0, 3, 3, 3, 3, 5.0))

    inner, ring = find_regions(error_map, None, SPEC)

    assert (inner.area_px, inner.peak_value) == (9, 5.0)
    assert (ring.area_px, ring.peak_value) == (32, 2.0)
    assert ring.box == (0, 0, 9, 9)
