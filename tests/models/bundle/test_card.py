import pytest

from models.bundle.card import CardFacts, build_card
from models.bundle.manifest import Calibrations
from models.bundle.read import read_bundle

FACTS = CardFacts(
    flow=[("train", "healthy", 40, 41, 42)],
    measured={"AUROC": "0.900 (0.850 to 0.950)"},
    training={"seed": "0"},
    dropped=3,
)


@pytest.fixture
def bundle(tiny_bundle):
    return read_bundle(tiny_bundle)


def test_the_card_says_what_the_bundle_is_for_and_what_it_was_made_from(bundle):
    card = build_card(bundle.manifest, bundle.calibrations, FACTS)

    assert "synthetic scans, for demonstration only" in card
    assert "Not for diagnostic use" in card
    assert "| train | healthy | 40 | 41 | 42 |" in card
    assert "left out: 3." in card
    assert "0.900 (0.850 to 0.950)" in card
    assert bundle.calibrations.slice.promise.statement in card


@pytest.mark.parametrize(
    "title", ["Cohort", "Operating point", "Measured", "Training", "Domain", "Limits"]
)
def test_the_card_has_every_section(bundle, title):
    assert f"## {title}\n" in build_card(bundle.manifest, bundle.calibrations, FACTS)


def test_a_missing_calibration_and_missing_metrics_are_said(bundle):
    none = Calibrations(slice=None, volume=None)
    facts = CardFacts(flow=[], measured={}, training={}, dropped=0)

    card = build_card(bundle.manifest, none, facts)

    assert card.count("Not calibrated: such scans are indeterminate.") == 2
    assert "no test split" in card


def test_the_card_of_real_scans_says_nothing_of_synthetic_ones(bundle):
    manifest = bundle.manifest.model_copy(update={"is_synthetic": False})

    assert "ynthetic scans, for" not in build_card(manifest, bundle.calibrations, FACTS)
