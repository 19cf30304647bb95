"""Evaluation to the lines of the card: metric and value with its interval."""

from collections.abc import Mapping
from typing import Any

from models.detector import Detector
from models.errors import InvalidCohort
from training.cohort import Cohort
from training.evaluate import evaluate_detector
from training.evaluation_options import EvaluationOptions
from training.train import TrainingWatch

IMAGE_METRICS = {
    "auroc": "AUROC",
    "ap": "average precision",
    "sensitivity_at_95_specificity": "sensitivity at 95 % specificity",
    "sensitivity_at_90_specificity": "sensitivity at 90 % specificity",
}
PIXEL_METRICS = {
    "ap": "pixel average precision, all test scans",
    "ap_abnormal": "pixel average precision, abnormal scans",
    "best_dice": "best Dice",
    "aupro": "AUPRO",
}


def measure_for_card(
    detector: Detector, cohort: Cohort, seed: int, watch: TrainingWatch
) -> dict[str, str]:
    """Evaluate on the test split, where there is one with abnormal scans, for the card."""
    scans = cohort.scans("test")
    if not len(scans):
        return {}
    watch.start("measurement", len(scans))
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        watch.step(done)

    try:
        evaluation = evaluate_detector(detector, cohort, EvaluationOptions(seed), advance)
    except InvalidCohort:
        return {}
    return describe_summary(evaluation.summary)


def describe_summary(summary: Mapping[str, Any]) -> dict[str, str]:
    """Give each metric that is defined as `value (low to high)`."""
    lines = {"scans measured": f"{summary['n']}, by {summary['unit']}"}
    for key, name in IMAGE_METRICS.items():
        _add(lines, name, summary["image"], key)
    alarms = summary["false_alarm"]
    _add(lines, "false alarms among healthy test scans", alarms, "realised")
    for key, name in PIXEL_METRICS.items():
        _add(lines, name, summary["pixel"], key)
    baselines = {
        name: values["auroc"]
        for name, values in summary["baselines"].items()
        if values["auroc"] is not None
    }
    if baselines:
        best = max(baselines, key=lambda name: baselines[name])
        lines["best baseline, AUROC"] = f"{baselines[best]:.3f} ({best})"
    return lines


def _add(lines: dict[str, str], name: str, values: Mapping[str, Any], key: str) -> None:
    if values.get(key) is None:
        return
    interval = values.get(f"{key}_ci")
    text = f"{values[key]:.3f}"
    if interval and None not in interval:
        text += f" ({interval[0]:.3f} to {interval[1]:.3f})"
    lines[name] = text
