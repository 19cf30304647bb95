import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from app.analysis.maps import pack_error_map, pack_reconstruction, unpack_map, unpack_slice
from app.errors import BlobCorrupt
from models.overlay import draw_overlay
from models.regions import find_regions
from models.specs import ErrorMapSpec, RegionSpec

SPEC = RegionSpec(error_map=ErrorMapSpec())


def make_error_map(seed=0):
    noise = np.random.default_rng(seed).normal(size=(3, 96, 80))
    return np.abs(ndimage.gaussian_filter(noise, (0, 2, 2)) * 8).astype(np.float32)


def draw(plane):
    return draw_overlay(np.zeros_like(plane), plane, (0.0, 1.0), 0.7, has_outline=True)


@given(
    arrays.arrays(
        np.float32,
        (1, 6, 7),
        elements=st.floats(0.0, 8.0, width=32)
        | st.floats(np.float32(0.998), np.float32(1.002), width=32)
        | st.floats(0.0, 1e6, width=32),
    )
)
def test_a_stored_error_map_draws_the_same_overlay(values):
    restored = unpack_map(pack_error_map(values))

    assert np.array_equal(draw(restored[0]), draw(values[0]))


@pytest.mark.parametrize("seed", range(4))
def test_a_stored_error_map_has_the_same_regions(seed):
    values = make_error_map(seed)

    restored = find_regions(unpack_map(pack_error_map(values)), (0.5, 0.5), SPEC)

    expected = find_regions(values, (0.5, 0.5), SPEC)
    assert {(r.slice_index, r.box, r.area_px) for r in restored} == {
        (r.slice_index, r.box, r.area_px) for r in expected
    }


def test_a_stored_reconstruction_is_within_a_two_thousandth_of_its_range():
    values = make_error_map() * 3000 - 1000

    restored = unpack_map(pack_reconstruction(values))

    assert np.abs(restored - values).max() <= np.ptp(values) / 2000


def test_a_flat_reconstruction_survives():
    values = np.full((1, 4, 5), -7.5, dtype=np.float32)

    assert np.array_equal(unpack_map(pack_reconstruction(values)), values)


def test_a_slice_can_be_unpacked_alone():
    content = pack_error_map(make_error_map())

    assert np.array_equal(unpack_slice(content, 2), unpack_map(content)[2])


@pytest.mark.parametrize("content", [b"", b"\n", b"{}\n", b"\x89PNG\r\n"])
def test_bytes_that_are_no_map_are_told(content):
    with pytest.raises(BlobCorrupt):
        unpack_map(content)


def test_a_slice_that_is_not_there_is_told():
    with pytest.raises(BlobCorrupt):
        unpack_slice(pack_error_map(make_error_map()), 3)
