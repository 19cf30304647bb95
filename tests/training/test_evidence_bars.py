from datetime import UTC, datetime

import pytest

from training.evidence import Record
from training.evidence_bars import BARS, Outcome, try_bars


def make_record(*, cohort="chest_xray", method="auto", seed=0, auroc=0.9, seconds=60, inside=True):
    baselines = {
        "sharpness_low": {"auroc": 0.82},
        "raw_intensity": {"auroc": 0.6, "pixel_ap_abnormal": 0.6},
        "padim_frozen": {"auroc": 0.8},
    }
    summary = {
        "image": {"auroc": auroc, "sensitivity_at_95_specificity": 0.6},
        "pixel": {"ap_abnormal": 0.75, "best_dice": None},
        "windows": {"position:0.45:0.65": {"auroc": 0.91}},
        "baselines": baselines,
        "false_alarm": {"is_within_expected": inside},
        "seconds_per_scan": 0.4,
        "counts": {"scans": 10},
        "n": 100,
    }
    return Record(
        cohort=cohort, method=method, seed=seed, measured_at=datetime(2026, 1, 1, tzinfo=UTC),
        summary=summary, training={"seconds, fit": str(seconds), "seconds, measurement": "7"},
        parameters=1, bundle_bytes=2_000_000, threads=1,
    )  # fmt: skip


def find(records, what, cohort="chest_xray", method="auto") -> Outcome:
    found = [
        each
        for each in try_bars(records)
        if (each.bar.what, each.cohort, each.method) == (what, cohort, method)
    ]
    assert len(found) == 1
    return found[0]


def test_a_bar_is_held_against_the_mean_over_seeds():
    records = [make_record(auroc=0.88), make_record(auroc=0.94, seed=1)]

    outcome = find(records, "AUROC")

    assert outcome.found == pytest.approx(0.91)
    assert outcome.seeds == 2
    assert outcome.is_met


def test_a_lead_is_over_the_reference_of_the_same_run():
    records = [make_record(auroc=0.9), make_record(method="default", auroc=0.7)]

    assert find(records, "AUROC over the best peer").found == pytest.approx(0.1)
    assert find(records, "AUROC over the best trivial baseline").found == pytest.approx(0.08)
    assert not find(records, "AUROC over the best peer", method="default").is_met


def test_what_was_not_measured_is_not_met():
    outcome = find([make_record()], "AUROC over the best peer")

    assert outcome.found is None
    assert not outcome.is_met
    assert not find([make_record(cohort="brain_flair")], "best Dice", "brain_flair").is_met


def test_a_ceiling_is_met_below_it():
    assert find([make_record(seconds=60)], "minutes of training").found == pytest.approx(1.0)
    assert find([make_record(seconds=60)], "minutes of training").is_met
    assert not find([make_record(seconds=6000)], "minutes of training").is_met


def test_speed_is_that_of_slices():
    assert find([make_record()], "slices a second, decoding included").found == pytest.approx(25.0)


def test_one_seed_outside_the_promise_misses_the_bar():
    records = [make_record(), make_record(seed=1, inside=False)]

    assert not find(records, "share of seeds with false alarms inside the promise").is_met


def test_a_cohort_nobody_knows_is_held_against_the_general_bars_alone():
    found = {each.bar.what for each in try_bars([make_record(cohort="fundus")])}

    assert found == {bar.what for bar in BARS if bar.cohort is None}
