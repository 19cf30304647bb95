import numpy as np
import pytest

from models.appearance import Appearance, Look

SIZE = 3
CHANGED = {"flipped": np.array([4.0, 0.0, 0.0]), "inverted": np.array([0.0, 0.0, 6.0])}


def make_appearance(**parts):
    known = {"mean": np.zeros(SIZE), "precision": np.eye(SIZE), "changed": CHANGED}
    return Appearance(**(known | parts))


def test_the_distance_counts_standard_deviations():
    appearance = make_appearance(precision=np.diag([1.0, 0.25, 1.0]))

    look = appearance.look(np.array([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]))

    assert look.distances == pytest.approx([3.0, 2.0])


def test_a_likeness_is_0_half_way_to_the_changed_slices():
    look = make_appearance().look(np.array([[2.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 9.0, 0.0]]))

    assert look.likenesses["flipped"] == pytest.approx([0.0, 2.0, -2.0])


def test_the_median_slice_speaks_for_a_volume():
    look = Look(np.array([1.0, 2.0, 90.0]), {"flipped": np.array([-3.0, -2.0, 50.0])})

    assert look.distance == 2.0
    assert look.find_nearest_change() == ("flipped", -2.0)


def test_the_nearest_change_is_named():
    look = make_appearance().look(np.array([[0.0, 0.0, 6.0]]))

    assert look.find_nearest_change() == ("inverted", pytest.approx(3.0))


def test_without_changes_nothing_is_near():
    look = make_appearance(changed={}).look(np.zeros((1, SIZE)))

    assert look.find_nearest_change() is None


def test_separation_counts_standard_deviations_too():
    assert make_appearance().measure_separation("inverted") == pytest.approx(6.0)


@pytest.mark.parametrize(
    "parts",
    [
        {"mean": np.full(SIZE, np.nan)},
        {"precision": np.eye(2)},
        {"precision": np.full((SIZE, SIZE), np.inf)},
        {"changed": {"flipped": np.zeros(2)}},
    ],
)
def test_what_is_no_appearance_is_refused(parts):
    with pytest.raises(ValueError, match="finite means and a precision of one size"):
        make_appearance(**parts)
