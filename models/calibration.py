"""Healthy scores of a held-out cohort to the threshold, and to what may be promised of it."""

from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy import special

from models.errors import TooFewHealthyScans
from models.specs import Spec

# With fewer independent patients not even a false alarm rate of one in six can be promised.
MINIMUM_PATIENTS = 5


class Promise(Spec):
    """What is promised of the false alarm rate among healthy scans like those of the calibration.

    `conditional`: for this very calibration the rate is at most `rate`, with probability
    `confidence` over the draw of the calibration cohort. `average`: the rate is at most `rate` on
    average over calibrations. `wanted_rate` is what was asked for; `needed_patients` how many
    independent healthy patients that needs.
    """

    kind: Literal["conditional", "average"]
    rate: float = Field(gt=0.0, lt=1.0)
    confidence: float | None = Field(default=None, gt=0.0, lt=1.0)
    wanted_rate: float = Field(gt=0.0, lt=1.0)
    wanted_confidence: float = Field(gt=0.0, lt=1.0)
    needed_patients: int = Field(ge=1)
    patients: int = Field(ge=1)

    @property
    def is_as_wanted(self) -> bool:
        """Whether the numbers carry what was asked for."""
        return self.kind == "conditional" and self.rate <= self.wanted_rate

    @property
    def statement(self) -> str:
        """The promise in one sentence."""
        if self.kind == "conditional" and self.confidence is not None:
            return (
                f"At most {self.rate:.1%} of healthy scans are flagged, with {self.confidence:.0%} "
                f"confidence for this calibration of {self.patients} patients."
            )
        return (
            f"At most {self.rate:.1%} of healthy scans are flagged, on average over calibrations "
            f"of {self.patients} patients. The {self.wanted_rate:.1%} with "
            f"{self.wanted_confidence:.0%} confidence that was asked for needs "
            f"{self.needed_patients} patients."
        )


class ChosenPoint(Spec):
    """An operating point chosen by a rule on labelled scans, in place of a promise.

    `sensitivity` and `specificity` are (value, low, high) on those scans, with 95 % bootstrap
    intervals over patients.
    """

    kind: Literal["labelled"] = "labelled"
    rule: str
    sensitivity: tuple[float, float, float]
    specificity: tuple[float, float, float]
    healthy: int = Field(ge=1)
    abnormal: int = Field(ge=1)

    @property
    def rate(self) -> None:
        """No false alarm rate is promised."""
        return

    @property
    def statement(self) -> str:
        """What was chosen, in one sentence."""
        sensitivity, specificity = (
            f"{value:.1%} ({low:.1%} to {high:.1%})"
            for value, low, high in (self.sensitivity, self.specificity)
        )
        return (
            f"Chosen by the rule {self.rule} on {self.healthy} healthy and {self.abnormal} "
            f"abnormal scans: sensitivity {sensitivity}, specificity {specificity}. No false "
            "alarm rate is promised."
        )


class Calibration(Spec):
    """Healthy scores, one a patient, ascending, the threshold, and what is promised of it.

    A scan is flagged when its score is above the threshold; a tie is not above.
    """

    scores: tuple[float, ...] = Field(min_length=MINIMUM_PATIENTS)
    threshold: float
    promise: Annotated[Promise | ChosenPoint, Field(discriminator="kind")]

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if list(self.scores) != sorted(self.scores):
            raise ValueError("calibration scores must be ascending")
        return self

    def compute_p_value(self, score: float) -> float:
        """Give the conformal p-value, ties counted against the scan being strange.

        (1 + number of calibration scores >= score) / (n + 1): Vovk, Gammerman and Shafer 2005;
        for outliers Bates et al. 2023, eq. 3.
        """
        above = len(self.scores) - int(np.searchsorted(self.scores, score, side="left"))
        return (1 + above) / (len(self.scores) + 1)


def calibrate(
    scores: NDArray[np.float64],
    patients: list[str],
    rate: float,
    confidence: float,
    generator: np.random.Generator,
) -> Calibration:
    """Choose the threshold from healthy scores, one scan a patient drawn at random.

    The threshold is the smallest order statistic whose false alarm rate is at most `rate` with
    probability `confidence`; with too few patients the one that holds on average, at `rate` or at
    the smallest rate that so many patients carry.

    Args:
        scores: float64 [N], finite, of healthy scans that took part in no training.
        patients: N names; scans of one patient are not independent.
        rate: wanted share of flagged healthy scans.
        confidence: wanted probability that the rate holds for this calibration.
        generator: draws the scan of each patient.

    Raises:
        TooFewHealthyScans: under the smallest number of patients for any promise.
    """
    votes = draw_one_per_patient(scores, patients, generator)
    count = len(votes)
    if count < MINIMUM_PATIENTS:
        raise TooFewHealthyScans(
            f"found {count} healthy patients to calibrate on, expected {MINIMUM_PATIENTS} or more "
            f"({count_needed_patients(rate, confidence)} for {rate:.1%} at {confidence:.0%})"
        )
    order, kind, kept_rate = _choose_order(count, rate, confidence)
    promise = Promise(
        kind=kind,
        rate=kept_rate,
        confidence=confidence if kind == "conditional" else None,
        wanted_rate=rate,
        wanted_confidence=confidence,
        needed_patients=count_needed_patients(rate, confidence),
        patients=count,
    )
    ascending = tuple(float(vote) for vote in np.sort(votes))
    return Calibration(scores=ascending, threshold=ascending[order - 1], promise=promise)


def draw_one_per_patient(
    scores: NDArray[np.float64], patients: list[str], generator: np.random.Generator
) -> NDArray[np.float64]:
    """Draw one score of each patient, so that the votes are exchangeable with a new patient's.

    Single subsampling of Dunn, Wasserman and Ramdas 2022 (arXiv 1809.07441).

    Returns:
        float64 [patients], in order of the first appearance.
    """
    rows: dict[str, list[int]] = {}
    for row, patient in enumerate(patients):
        rows.setdefault(patient, []).append(row)
    drawn = [members[int(generator.integers(len(members)))] for members in rows.values()]
    votes: NDArray[np.float64] = np.asarray(scores, dtype=np.float64)[drawn]
    return votes


def count_needed_patients(rate: float, confidence: float) -> int:
    """Give the fewest patients with which the largest score keeps the conditional promise.

    P(max of n uniform draws >= 1 - rate) = 1 - (1 - rate)^n >= confidence.
    """
    return int(np.ceil(np.log1p(-confidence) / np.log1p(-rate)))


def _choose_order(
    count: int, rate: float, confidence: float
) -> tuple[int, Literal["conditional", "average"], float]:
    """Give the order statistic (1..n) of the threshold, the kind of promise and its rate.

    The rate above the k-th of n scores follows Beta(n + 1 - k, k) (Vovk 2012, proposition 2a).
    """
    orders = np.arange(1, count + 1)
    holds = special.betainc(count + 1 - orders, orders, rate) >= confidence
    if holds.any():
        return int(orders[holds][0]), "conditional", rate
    flagged = int(np.floor(rate * (count + 1)))
    if flagged >= 1:
        return count - flagged + 1, "average", rate
    return count, "average", 1 / (count + 1)
