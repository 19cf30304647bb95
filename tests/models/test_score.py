import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.error_map import ErrorMap
from models.score import HeadScale, combine_heads, combine_slices, pool_error_map
from models.specs import ErrorMapSpec, HeadSpec, ScoreSpec
from tests.strategies import maps

POOLS = ("mean", "top_share", "maximum")
SIDE = 12


def make_head(pool, name="head", **facts):
    return HeadSpec(name=name, error_map=ErrorMapSpec(), pool=pool, top_share=0.1, **facts)


def make_map(values, foreground=None):
    """Give an error map of one slice: [H, W]."""
    values = torch.as_tensor(np.asarray(values, dtype=np.float32))[None, None]
    if foreground is None:
        return ErrorMap(values, torch.ones_like(values, dtype=torch.bool))
    inside = torch.as_tensor(foreground)[None, None]
    return ErrorMap(values * inside, inside)


def pool_one(values, pool, foreground=None):
    return pool_error_map(make_map(values, foreground), make_head(pool))[0]


@pytest.mark.parametrize("pool", POOLS)
@settings(max_examples=40, deadline=None)
@given(values=maps(SIDE), more=maps(SIDE))
def test_a_larger_error_map_never_lowers_the_pooled_value(pool, values, more):
    larger = np.float32(values + more)

    assert pool_one(larger, pool) >= pool_one(values, pool)


@settings(max_examples=40, deadline=None)
@given(values=maps(SIDE), more=maps(SIDE), seed=st.integers(0, 1000))
def test_a_larger_error_map_never_lowers_the_score(values, more, seed):
    spec = ScoreSpec(heads=tuple(make_head(pool, pool) for pool in POOLS))
    healthy = np.random.default_rng(seed)
    scales = {pool: HeadScale(np.sort(healthy.uniform(0, 12, size=20))) for pool in POOLS}

    def score(plane):
        pooled = {pool: np.array([pool_one(plane, pool)]) for pool in POOLS}
        return combine_slices(combine_heads(pooled, scales, spec), spec)

    assert score(np.float32(values + more)) >= score(values)


@pytest.mark.parametrize(
    ("pool", "expected"), [("mean", 49.5), ("top_share", 94.5), ("maximum", 99)]
)
def test_pools_are_what_their_names_say(pool, expected):
    assert pool_one(np.arange(100).reshape(10, 10), pool) == pytest.approx(expected)


@pytest.mark.parametrize("pool", POOLS)
def test_only_the_foreground_counts(pool):
    inside = np.zeros((10, 10), dtype=bool)
    inside[:5] = True
    values = np.where(inside, 2.0, 100.0)

    assert pool_one(values, pool, inside) == 2.0


@pytest.mark.parametrize("pool", POOLS)
def test_a_slice_without_foreground_pools_to_zero(pool):
    assert pool_one(np.ones((4, 4)), pool, np.zeros((4, 4), dtype=bool)) == 0.0


@pytest.mark.parametrize("pool", POOLS)
def test_a_value_that_is_no_number_is_not_hidden(pool):
    values = np.ones((10, 10))
    values[3, 3] = np.nan

    assert np.isnan(pool_one(values, pool))


@settings(max_examples=100, deadline=None)
@given(
    healthy=st.lists(st.floats(0, 100), min_size=8, max_size=30),
    values=st.lists(st.floats(0, 1000), min_size=2, max_size=30),
)
def test_a_scale_never_turns_an_order_round(healthy, values):
    scale = HeadScale(np.sort(np.array(healthy)))

    placed = scale.place(np.sort(np.array(values)))

    assert (np.diff(placed) >= 0.0).all()
    assert np.isfinite(placed).all()


def test_two_scans_stranger_than_every_healthy_one_still_differ():
    scale = HeadScale(np.linspace(1.0, 2.0, 20))

    placed = scale.place(np.array([2.0, 2.1, 2.2, 50.0]))

    assert (np.diff(placed) > 0.0).all()
    assert placed[2] - placed[1] == pytest.approx(placed[1] - placed[0])


def test_healthy_scans_lie_at_the_quantiles_of_their_ranks():
    healthy = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0])

    placed = HeadScale(healthy).place(healthy)

    np.testing.assert_allclose(placed, stats.norm.ppf(np.arange(1, 10) / 10))
    assert HeadScale(healthy).place(np.array([16.0]))[0] == pytest.approx(0.0)


@pytest.mark.parametrize(
    "healthy",
    [np.arange(7.0), np.arange(10.0)[::-1], np.full(10, np.nan), np.append(np.arange(9.0), np.inf)],
    ids=["too few", "descending", "no numbers", "infinite"],
)
def test_a_scale_that_is_none_is_refused(healthy):
    with pytest.raises(ValueError, match="scale"):
        HeadScale(healthy)


def test_equal_healthy_scores_still_give_a_scale():
    placed = HeadScale(np.full(10, 3.0)).place(np.array([2.9, 3.0, 3.1]))

    assert np.isfinite(placed).all()
    assert placed[0] < placed[1] < placed[2]


def test_heads_are_combined_by_their_weights():
    heads = (make_head("mean", "a", weight=1.0), make_head("mean", "b", weight=3.0))
    scales = {name: HeadScale(np.linspace(0, 1, 9)) for name in "ab"}
    pooled = {"a": np.array([0.0]), "b": np.array([1.0])}

    found = combine_heads(pooled, scales, ScoreSpec(heads=heads))

    end = stats.norm.ppf(0.9)
    assert found[0] == pytest.approx((-end + 3 * end) / 4)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 9.0), (0.1, 9.0), (0.2, 8.5), (1.0, 4.5), (0.11, 8.5)]
)
def test_the_hottest_slices_make_the_score(share, expected):
    spec = ScoreSpec(heads=(make_head("mean"),), hottest_slices_share=share)

    assert combine_slices(np.random.default_rng(0).permutation(np.arange(10.0)), spec) == expected


def test_a_slice_that_is_no_number_spoils_its_volume():
    spec = ScoreSpec(heads=(make_head("mean"),))

    assert np.isnan(combine_slices(np.array([1.0, np.nan, 3.0]), spec))
