import numpy as np
import pytest

from models.bundle.card import CardFacts
from models.detector import Detector, unpack_check_scan
from models.errors import CheckFailed
from models.pipeline import ScoringPipeline
from models.specs import FixedWindowSpec, NormalizeSpec, NoWindowSpec
from tests.builders.cohorts import make_picture
from training.publish import (
    _choose_range,
    assemble_detector,
    build_check,
    collect_weights,
    publish_bundle,
)

FACTS = CardFacts(flow=[], measured={}, training={}, dropped=0)
AVERAGE = (make_picture(3, 32) / 255).astype(np.float32)


@pytest.fixture
def draft(tiny_detector) -> Detector:
    bundle = tiny_detector.bundle
    return assemble_detector(bundle.manifest, bundle.calibrations, tiny_detector.pipeline)


def test_made_up_scans_differ_in_score_and_are_scored_again_alike(draft):
    check = build_check(draft, AVERAGE)

    assert [scan.name for scan in check.scans] == ["average", "blob", "soft"]
    assert check.scans[1].score > check.scans[0].score
    for scan in check.scans:
        verdict = draft.examine([unpack_check_scan(scan)])[0].verdict
        assert (verdict.score, verdict.label) == (scan.score, scan.verdict)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (FixedWindowSpec(kind="fixed", low=-160, high=240), (-160, 240)),
        (NoWindowSpec(kind="none"), (0.0, 1.0)),
    ],
)
def test_made_up_scans_fill_the_window_of_the_bundle(draft, window, expected):
    check = build_check(draft, AVERAGE).scans[0]

    black, white = _choose_range(NormalizeSpec(window=window))
    scan = unpack_check_scan(check.model_copy(update={"black": black, "white": white}))

    assert (black, white) == expected
    low, high = AVERAGE.min(), AVERAGE.max()
    span = white - black
    assert scan.pixels.min() == pytest.approx(black + low * span, abs=span / 255)
    assert scan.pixels.max() == pytest.approx(black + high * span, abs=span / 255)


def test_a_published_bundle_says_what_the_draft_said(draft, tmp_path, tiny_bundle):
    digest = publish_bundle(draft, AVERAGE, FACTS, tmp_path / "out")

    assert len(digest) == 64
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        path.name for path in tiny_bundle.iterdir()
    }


def test_a_bundle_that_does_not_reproduce_its_scores_is_not_published(draft, tmp_path, monkeypatch):
    honest = build_check(draft, AVERAGE)
    wrong = honest.scans[0].model_copy(update={"score": honest.scans[0].score + 1.0})
    monkeypatch.setattr(
        "training.publish.build_check",
        lambda *_: honest.model_copy(update={"scans": (wrong,)}),
    )

    with pytest.raises(CheckFailed):
        publish_bundle(draft, AVERAGE, FACTS, tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


def test_a_pipeline_without_healthy_statistics_has_no_weights_to_publish(tiny_detector):
    pipeline = tiny_detector.pipeline
    bare = ScoringPipeline(pipeline.spec, pipeline.network, None, None)

    with pytest.raises(ValueError, match="no healthy statistics"):
        collect_weights(bare)
