import numpy as np
import pytest

from models.specs import ScoreSpec
from tests.builders.fitting import Copier, Healer, MemorySlices, make_recipe
from training.anomalies import ANOMALIES
from training.panel import Panel, PanelSize, average, compute_separation

SCORE = make_recipe().pipeline.score
MEAN = ScoreSpec(heads=(SCORE.heads[0].model_copy(update={"pool": "mean"}),))


def make_panel(slices: MemorySlices, kinds_per_slice: int = 2) -> Panel:
    return Panel(slices, PanelSize(len(slices), kinds_per_slice), 0, None)


def test_several_choices_of_heads_get_what_each_would_get_alone():
    slices = MemorySlices(20)
    panel, network = make_panel(slices), Copier().eval()

    together = panel.separate_all(network, [SCORE, MEAN])

    assert together == [panel.separate(network, SCORE), panel.separate(network, MEAN)]


def test_a_weight_that_changes_nothing_changes_no_separation():
    slices = MemorySlices(20)
    panel, network = make_panel(slices), Healer(slices).eval()
    heavy = ScoreSpec(heads=(SCORE.heads[0].model_copy(update={"weight": 7.0}),))

    assert panel.separate(network, heavy) == panel.separate(network, SCORE)


def test_more_kinds_a_slice_are_still_all_kinds():
    slices = MemorySlices(20)

    found = make_panel(slices, kinds_per_slice=len(ANOMALIES)).separate(Copier().eval(), SCORE)

    assert set(found) == set(ANOMALIES)


def test_too_few_slices_say_nothing():
    slices = MemorySlices(4)

    assert average(make_panel(slices).separate(Copier().eval(), SCORE)) is None


@pytest.mark.parametrize(
    ("typical", "altered", "expected"),
    [([0, 1], [2, 3], 1.0), ([2, 3], [0, 1], 0.0), ([1, 1], [1, 1], 0.5), ([0, 2], [1, 3], 0.75)],
)
def test_separation_is_the_share_of_pairs_in_the_right_order(typical, altered, expected):
    assert compute_separation(np.array(typical), np.array(altered)) == expected
