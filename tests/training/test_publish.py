from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.appearance import Appearance
from models.bundle import layout
from models.bundle.card import CardFacts
from models.detector import Detector, unpack_check_scan
from models.domain import AppearanceDomain
from models.errors import CheckFailed, WeightsMismatch
from models.networks.descriptor import SIZE
from models.pipeline import ScoringPipeline
from models.specs import FixedWindowSpec, NormalizeSpec, NoWindowSpec
from tests.builders.bundles import sign_again
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


@pytest.fixture
def looking_draft(tiny_detector) -> Detector:
    """The tiny bundle, but one that knows how healthy scans look."""
    bundle, pipeline = tiny_detector.bundle, tiny_detector.pipeline
    changed = {"flipped": np.full(SIZE, 9.0), "inverted": np.full(SIZE, -9.0)}
    appearance = Appearance(np.zeros(SIZE), np.eye(SIZE), changed)
    limits = AppearanceDomain(
        distance_limit=500.0,
        likeness_limit=0.0,
        changes=("flipped", "inverted"),
        rate=0.01,
        slices=200,
        patients=100,
    )
    domain = bundle.manifest.domain.model_copy(update={"appearance": limits})
    return assemble_detector(
        bundle.manifest.model_copy(update={"domain": domain}),
        bundle.calibrations,
        ScoringPipeline(
            pipeline.spec, pipeline.network, replace(pipeline.healthy, appearance=appearance), None
        ),
    )


def test_a_published_bundle_looks_at_scans_as_the_draft_did(looking_draft, tmp_path):
    scan = unpack_check_scan(build_check(looking_draft, AVERAGE).scans[0])
    publish_bundle(looking_draft, AVERAGE, FACTS, tmp_path / "out")

    found = Detector.load(tmp_path / "out", torch.device("cpu"))

    ours, theirs = (each.examine([scan])[0].scored.measured.look for each in (looking_draft, found))
    assert ours.distance == theirs.distance
    assert ours.find_nearest_change() == theirs.find_nearest_change()
    assert "1% of healthy slices, set on 200 healthy slices of 100" in found.bundle.card


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("appearance.flipped"), "not the one"),
        (lambda tensors: tensors.update({"appearance.more": torch.zeros(SIZE)}), "not the one"),
        (lambda tensors: tensors.update({"appearance.mean": torch.zeros(SIZE)}), "float64"),
        (
            lambda tensors: tensors.update(
                {
                    "appearance.precision": torch.full(
                        (SIZE, SIZE), float("nan"), dtype=torch.float64
                    )
                }
            ),
            "finite",
        ),
    ],
)
def test_looks_that_are_not_those_of_the_manifest_are_refused(
    looking_draft, tmp_path, change, message
):
    publish_bundle(looking_draft, AVERAGE, FACTS, tmp_path / "out")
    tensors = load_file(tmp_path / "out" / layout.WEIGHTS)
    change(tensors)
    save_file(tensors, tmp_path / "out" / layout.WEIGHTS)
    sign_again(tmp_path / "out")

    with pytest.raises(WeightsMismatch, match=message):
        Detector.load(tmp_path / "out", torch.device("cpu"))


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
