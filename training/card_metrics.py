"""Evaluation to the lines of the card: metric and value with its interval."""

from models.detector import Detector
from models.errors import InvalidCohort
from training.cohort import Cohort
from training.evaluate import evaluate_detector
from training.evaluation_options import EvaluationOptions
from training.evaluation_table import describe_measured
from training.train import TrainingWatch


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
    return describe_measured(evaluation.summary)
