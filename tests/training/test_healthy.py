import io

import numpy as np
import pytest
import torch
from PIL import Image

from models.errors import TrainingError
from models.pipeline import ScoringPipeline, list_error_maps, name_error_map
from tests.builders.cohorts import Row, write_cohort, write_csv
from training.cohort import read_cohort
from training.healthy import learn_healthy, measure_fold


@pytest.fixture
def bare(tiny_detector) -> ScoringPipeline:
    pipeline = tiny_detector.pipeline
    return ScoringPipeline(pipeline.spec, pipeline.network, None, None)


@pytest.fixture
def scans(tiny_cohort):
    return list(read_cohort(tiny_cohort).scans("train"))[:20]


def learn(pipeline, scans, seed=0):
    return learn_healthy(pipeline, scans, np.random.default_rng(seed), lambda _: None)


def test_every_head_has_a_scale_of_the_fold(bare, scans):
    healthy = learn(bare, scans)

    assert set(healthy.scales) == {"structural", "focal"}
    assert all(len(scale.healthy) == 20 for scale in healthy.scales.values())


def test_error_maps_that_ask_for_it_have_healthy_pixels(bare, scans):
    healthy = learn(bare, scans)

    wanted = [spec for spec in list_error_maps(bare.spec) if spec.is_normalized]
    assert set(healthy.pixels) == {name_error_map(spec) for spec in wanted}
    for pixels in healthy.pixels.values():
        assert pixels.mean.shape == pixels.deviation.shape == (1, 1, 32, 32)
        assert (pixels.mean > 0).all()
        assert (pixels.deviation >= 0).all()


def test_as_many_healthy_pixels_as_asked_for_lie_under_the_threshold(bare, scans):
    healthy = learn(bare, scans)
    pipeline = ScoringPipeline(bare.spec, bare.network, healthy, None)

    maps = [measured.region_map for _, measured in measure_fold(pipeline, scans, lambda _: None)]

    values = torch.cat([each.values[each.foreground] for each in maps])
    share = (values <= healthy.pixel_threshold).float().mean()
    assert share == pytest.approx(bare.spec.region.pixel_quantile, abs=0.005)


def test_the_same_scans_teach_the_same(bare, scans):
    first, second = learn(bare, scans), learn(bare, scans)

    assert first.pixel_threshold == second.pixel_threshold
    for name, scale in first.scales.items():
        np.testing.assert_array_equal(scale.healthy, second.scales[name].healthy)


def test_too_few_scans_stop_the_run_and_say_how_many_there_are(bare, scans):
    with pytest.raises(TrainingError, match="7 healthy slices, expected 8"):
        learn(bare, scans[:7])


def test_scans_that_cannot_be_read_or_looked_at_are_left_out_but_counted(tiny_detector, tmp_path):
    rows = [Row(f"{index}.png", patient=str(index)) for index in range(6)]
    write_cohort(tmp_path, rows)
    (tmp_path / "2.png").write_bytes(b"no picture")
    (tmp_path / "black.bmp").write_bytes(_make_black())
    write_csv(tmp_path, [*rows, Row("black.bmp", patient="b")])
    seen = []

    scans = list(read_cohort(tmp_path).scans("train"))
    found = list(measure_fold(tiny_detector.pipeline, scans, seen.append))

    assert len(seen) == 7
    assert [scan.patient for scan, _ in found] == ["0", "1", "3", "4", "5"]


def _make_black() -> bytes:
    stream = io.BytesIO()
    Image.new("L", (20, 20)).save(stream, "BMP")
    return stream.getvalue()
