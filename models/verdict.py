"""Score to verdict: typical, anomalous, or indeterminate with its reason."""

import math
from dataclasses import dataclass
from typing import Literal

from models.calibration import Calibration

VerdictLabel = Literal["typical", "anomalous", "indeterminate"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How unusual a scan is, with the numbers behind the word.

    `p_value` and `threshold` are None where there is no calibration for such a scan. `reason` says
    why a verdict is indeterminate and is empty otherwise.
    """

    label: VerdictLabel
    score: float | None
    p_value: float | None
    threshold: float | None
    reason: str = ""


def decide(score: float, calibration: Calibration | None, *, reason: str | None) -> Verdict:
    """Turn a score into a verdict, failing closed.

    Args:
        score: any value; higher is stranger.
        calibration: of the same kind of scan; None where there is none.
        reason: why the scan is outside the bundle's domain; None where it is inside.
    """
    if not math.isfinite(score):
        return Verdict("indeterminate", None, None, None, "The score is not a finite number.")
    if calibration is None:
        missing = "The bundle has no calibration for scans with this many slices."
        return Verdict("indeterminate", score, None, None, reason or missing)
    p_value = calibration.compute_p_value(score)
    threshold = calibration.threshold
    if reason is not None:
        return Verdict("indeterminate", score, p_value, threshold, reason)
    label: VerdictLabel = "anomalous" if score > threshold else "typical"
    return Verdict(label, score, p_value, threshold)


def refuse(reason: str) -> Verdict:
    """Give the verdict of a scan that has no score at all."""
    return Verdict("indeterminate", None, None, None, reason)
