import numpy as np
import pytest
from scipy import ndimage

from models.overlay import (
    COLOR_TABLE,
    OUTLINE_COLOR,
    color_error_map,
    draw_overlay,
    draw_pixels,
    trace_outline,
)

SIDE = 20


def make_pixels():
    return np.linspace(-500.0, 1500.0, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)


def draw(error_map, *, opacity=0.7, has_outline=False):
    return draw_overlay(make_pixels(), error_map, (0.0, 1000.0), opacity, has_outline=has_outline)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("has_outline", [True, False])
def test_nothing_is_drawn_at_or_below_the_threshold(value, has_outline):
    error_map = np.full((SIDE, SIDE), value, dtype=np.float32)

    picture = draw(error_map, has_outline=has_outline)

    np.testing.assert_array_equal(picture, draw_pixels(make_pixels(), (0.0, 1000.0)))


def test_pixels_are_drawn_between_the_ends_of_the_window():
    grey = draw_pixels(np.array([[-9.0, 0.0, 500.0, 1000.0, 9999.0]], np.float32), (0.0, 1000.0))

    assert grey[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert (grey[..., 0] == grey[..., 1]).all()
    assert (grey[..., 0] == grey[..., 2]).all()


def test_the_scale_is_fixed_whatever_else_the_map_holds():
    alone = np.zeros((SIDE, SIDE), dtype=np.float32)
    alone[5, 5] = 2.0
    beside = alone.copy()
    beside[10:15, 10:15] = 50.0

    np.testing.assert_array_equal(draw(alone)[5, 5], draw(beside)[5, 5])


def test_full_opacity_shows_the_colour_table_itself():
    error_map = np.full((SIDE, SIDE), 4.0, dtype=np.float32)

    assert (draw(error_map, opacity=1.0) == COLOR_TABLE[-1]).all()


def test_colours_climb_in_lightness_and_stay_above_the_top():
    values = np.linspace(1.0, 4.0, 100, dtype=np.float32)[None]

    lightness = color_error_map(values)[0] @ np.array([0.2126, 0.7152, 0.0722])

    assert (np.diff(lightness) >= -1.0).all()
    assert lightness[-1] > lightness[0] + 100
    top = np.array([[4.0, 9.0, np.inf]], np.float32)
    np.testing.assert_array_equal(color_error_map(top)[0, 0], color_error_map(top)[0, 1])
    np.testing.assert_array_equal(color_error_map(top)[0, 0], color_error_map(top)[0, 2])


def test_the_outline_is_one_pixel_wide_and_inside_the_region():
    inside = np.zeros((SIDE, SIDE), dtype=bool)
    inside[3:12, 4:15] = True

    outline = trace_outline(inside)

    assert outline.sum() == 2 * 9 + 2 * 11 - 4
    assert not (outline & ~inside).any()
    np.testing.assert_array_equal(ndimage.binary_fill_holes(outline), inside)


def test_the_outline_is_drawn_where_the_map_crosses_the_threshold():
    error_map = np.zeros((SIDE, SIDE), dtype=np.float32)
    error_map[3:12, 4:15] = 2.0

    picture = draw(error_map, has_outline=True)

    np.testing.assert_array_equal(
        (picture == OUTLINE_COLOR).all(axis=2), trace_outline(error_map > 1)
    )


def test_values_that_are_no_number_are_left_transparent():
    error_map = np.full((SIDE, SIDE), np.nan, dtype=np.float32)

    np.testing.assert_array_equal(draw(error_map), draw_pixels(make_pixels(), (0.0, 1000.0)))
