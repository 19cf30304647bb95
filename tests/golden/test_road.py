"""Facts of the road that a person can read; `pytest tests/golden --rewrite-golden` writes them."""

import csv
from pathlib import Path

import pytest

from models.pipeline import ScoringPipeline
from models.specs import (
    ErrorMapSpec,
    HeadSpec,
    NormalizeSpec,
    PipelineSpec,
    RegionSpec,
    ScoreSpec,
)
from tests.builders.evaluations import draw_scan
from tests.builders.networks import make_network, make_spec
from tests.builders.scans import make_scan

TABLE = Path(__file__).with_name("road.csv")
COLUMNS = ("phantom", "lesion", "window low", "window high", "foreground px", "structural", "focal")
# Releases of torch sum in other orders.
RELATIVE_TOLERANCE = 1e-3


def make_pipeline():
    errors = {"erosion_share": 0.05}
    heads = (
        HeadSpec(
            name="structural",
            error_map=ErrorMapSpec(distance="structural", **errors),
            pool="mean",
        ),
        HeadSpec(
            name="focal",
            error_map=ErrorMapSpec(median_px=3, **errors),
            pool="top_share",
            top_share=0.05,
        ),
    )
    spec = PipelineSpec(
        normalize=NormalizeSpec(size_px=32),
        network=make_spec("ae"),
        score=ScoreSpec(heads=heads),
        region=RegionSpec(error_map=ErrorMapSpec()),
    )
    return ScoringPipeline(spec, make_network("ae"), None, None)


def measure_facts(pipeline, phantom, lesion):
    """Give one row of the table."""
    scan = make_scan(draw_scan(phantom, has_lesion=lesion))
    (measured,) = pipeline.measure([pipeline.prepare(scan)])
    normalized = measured.normalized
    return (
        *normalized.window,
        float(normalized.foreground.sum()),
        float(measured.pooled["structural"][0]),
        float(measured.pooled["focal"][0]),
    )


def measure_all():
    pipeline = make_pipeline()
    return [
        (phantom, lesion, *measure_facts(pipeline, phantom, lesion))
        for phantom in range(4)
        for lesion in (False, True)
    ]


def test_phantoms_measure_what_the_table_says(request):
    found = measure_all()
    if request.config.getoption("--rewrite-golden"):
        with TABLE.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for phantom, lesion, *numbers in found:
                writer.writerow([phantom, int(lesion), *(f"{number:.6g}" for number in numbers)])

    with TABLE.open(encoding="utf-8") as file:
        expected = [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]

    assert len(expected) == len(found)
    for row, facts in zip(expected, found, strict=True):
        assert [float(fact) for fact in facts] == pytest.approx(row, rel=RELATIVE_TOLERANCE)
