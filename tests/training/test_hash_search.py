import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.hash_search import find_close_pairs

RADIUS_BITS = 20


def make_hashes(count, seed):
    return np.random.default_rng(seed).integers(0, 2**64, size=(count, 4), dtype=np.uint64)


def flip_bits(row, places):
    bits = np.unpackbits(row.view(np.uint8))
    bits[places] ^= 1
    return np.packbits(bits).view(np.uint64)


@given(
    places=st.lists(st.integers(0, 255), min_size=0, max_size=RADIUS_BITS + 4, unique=True),
    seed=st.integers(0, 2**32),
)
def test_a_pair_is_found_exactly_when_it_differs_in_no_more_bits_than_allowed(places, seed):
    hashes = make_hashes(8, seed)
    hashes[5] = flip_bits(hashes[2], places)

    found = find_close_pairs(hashes, np.arange(8), RADIUS_BITS)

    expected = [[2, 5, len(places)]] if len(places) <= RADIUS_BITS else []
    assert found.pairs.tolist() == expected


def test_pairs_inside_a_group_are_left_out():
    hashes = np.repeat(make_hashes(1, 0), 3, axis=0)

    found = find_close_pairs(hashes, np.array([7, 7, 8]), RADIUS_BITS)

    assert found.pairs.tolist() == [[0, 2, 0], [1, 2, 0]]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_hashes_give_no_pairs(count):
    found = find_close_pairs(make_hashes(count, 0), np.arange(count), RADIUS_BITS)

    assert found.pairs.shape == (0, 3)


def test_a_search_among_equal_pictures_ends(monkeypatch):
    monkeypatch.setattr("training.hash_search.MAXIMUM_PAIRS", 100)
    hashes = np.repeat(make_hashes(1, 0), 2000, axis=0)

    found = find_close_pairs(hashes, np.arange(2000), RADIUS_BITS)

    assert found.is_cut
    assert len(found.pairs) >= 100


@pytest.mark.slow
def test_forty_thousand_hashes_are_compared_in_seconds():
    hashes = make_hashes(40_000, 0)
    hashes[30_000] = flip_bits(hashes[10], list(range(0, 200, 10)))

    found = find_close_pairs(hashes, np.arange(40_000), RADIUS_BITS)

    assert found.pairs.tolist() == [[10, 30_000, 20]]
