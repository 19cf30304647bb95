import numpy as np
import pytest
import torch
from torch import nn

from models.errors import EmptyForeground
from models.networks.reconstruction import Network, Reconstruction
from models.pipeline import HealthyStatistics, ScoringPipeline, list_error_maps, name_error_map
from models.score import HeadScale
from models.specs import (
    ErrorMapSpec,
    FixedWindowSpec,
    HeadSpec,
    NormalizeSpec,
    PipelineSpec,
    RegionSpec,
    ScoreSpec,
)
from tests.builders.cohorts import make_picture
from tests.builders.networks import make_spec
from tests.builders.scans import make_scan

SIDE = 32
ABSOLUTE = ErrorMapSpec()
STRUCTURAL = ErrorMapSpec(distance="structural")
HEALTHY = HealthyStatistics(
    scales={name: HeadScale(np.linspace(0.001, 0.05, 20)) for name in ("diffuse", "focal")},
    pixels={},
    pixel_threshold=0.2,
    appearance=None,
)


class FlatNetwork(Network):
    """Draws half grey, whatever it is shown."""

    def __init__(self) -> None:
        super().__init__(1, SIDE)
        self.level = nn.Parameter(torch.tensor(0.5))

    def forward(self, image, generator=None):  # noqa: ARG002 - the interface of all networks
        return Reconstruction(torch.zeros_like(image) + self.level)


def make_pipeline(healthy=HEALTHY):
    spec = PipelineSpec(
        normalize=NormalizeSpec(
            size_px=SIDE, window=FixedWindowSpec(kind="fixed", low=0, high=200)
        ),
        network=make_spec("ae"),
        score=ScoreSpec(
            heads=(
                HeadSpec(name="diffuse", error_map=STRUCTURAL, pool="mean"),
                HeadSpec(name="focal", error_map=ABSOLUTE, pool="top_share", top_share=0.02),
            )
        ),
        region=RegionSpec(error_map=ABSOLUTE, minimum_area_share=0.0),
    )
    return ScoringPipeline(spec, FlatNetwork(), healthy, None)


def draw_square(side, row, column, width):
    """Draw a grey body with one bright square."""
    picture = np.full((side, side), 100.0, dtype=np.float32)
    picture[0, 0] = 0.0
    picture[row : row + width, column : column + width] = 180.0
    return picture


@pytest.mark.parametrize(("side", "row", "column"), [(32, 10, 20), (64, 8, 44), (128, 100, 16)])
def test_a_region_lies_where_the_scan_was_not_redrawn(side, row, column):
    width = side // 8
    scan = make_scan(draw_square(side, row, column, width), spacing_mm=(2.0, 2.0))

    (scored,) = make_pipeline().score_scans([scan])

    region = scored.regions[0]
    expected = (row, column, row + width, column + width)
    assert np.abs(np.subtract(region.box, expected)).max() <= side / SIDE
    assert region.area_mm2 == pytest.approx(4.0 * region.area_px)
    assert region.peak_value == pytest.approx(0.4 / 0.2, rel=0.05)


def test_the_map_is_in_multiples_of_the_pixel_threshold():
    (scored,) = make_pipeline().score_scans([make_scan(draw_square(32, 10, 20, 4))])

    error_map = scored.restore_error_map()[0]

    assert error_map[12, 22] == pytest.approx(0.4 / 0.2, rel=1e-4)
    assert error_map[25, 5] == pytest.approx(0.0, abs=1e-4)


def test_the_reconstruction_comes_back_in_real_units():
    (scored,) = make_pipeline().score_scans([make_scan(draw_square(64, 8, 44, 8))])

    np.testing.assert_allclose(scored.restore_reconstruction(), 100.0, atol=1e-3)


def test_a_batch_gives_what_its_scans_give_alone():
    pipeline = make_pipeline()
    volume = make_scan(np.stack([make_picture(seed, 40) for seed in range(3)]))
    scans = [make_scan(make_picture(7, 48)), volume, make_scan(make_picture(8, 20))]

    together = pipeline.score_scans(scans)

    for scan, found in zip(scans, together, strict=True):
        (alone,) = pipeline.score_scans([scan])
        assert found.score == alone.score
        assert found.regions == alone.regions
        assert torch.equal(found.region_map, alone.region_map)
        assert len(found.slice_scores) == scan.slice_count


def test_one_scan_without_a_body_is_named_by_the_error():
    with pytest.raises(EmptyForeground):
        make_pipeline().score_scans([make_scan(np.zeros((9, 9)))])


def test_without_healthy_statistics_scans_are_measured_but_not_scored():
    pipeline = make_pipeline(healthy=None)

    (measured,) = pipeline.measure([pipeline.prepare(make_scan(make_picture(1)))])

    assert set(measured.pooled) == {"diffuse", "focal"}
    with pytest.raises(ValueError, match="no healthy statistics"):
        pipeline.score_measured(measured)


def test_each_error_map_is_listed_once_and_has_a_name_of_its_own():
    found = list_error_maps(make_pipeline().spec)

    assert found == (STRUCTURAL, ABSOLUTE)
    assert len({name_error_map(spec) for spec in found}) == 2
