"""Calibration fold to the calibrations of slices and of volumes, and to the domain."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf

from models.appearance import Look
from models.bundle.manifest import Calibrations
from models.calibration import MINIMUM_PATIENTS, Calibration, calibrate
from models.decoding.scan import DecodedScan
from models.domain import AppearanceDomain, Domain, StatisticsDomain
from models.errors import TooFewHealthyScans
from models.pipeline import MeasuredScan, ScoringPipeline
from models.specs import RegionSpec
from training.cohort import CohortScan
from training.healthy import Advance, measure_fold
from training.looks import find_limit, learn_limits
from training.recipe import PromiseSpec

# Intensities may lie this much farther out than those of the strangest healthy scan.
STATISTICS_MARGIN = 1.5


@dataclass(slots=True)
class ScoredFold:
    """What the healthy scans of a fold score, and what they are made of.

    `slices` and `volumes` hold (score, patient); a scan of one slice counts as a slice only.
    `hottest`: the highest value of the region map of each slice, in the unit of its distance.
    """

    slices: list[tuple[float, str]] = field(default_factory=list)
    volumes: list[tuple[float, str]] = field(default_factory=list)
    statistics: list[tuple[float, ...]] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    hottest: list[float] = field(default_factory=list)
    kinds: set[tuple[str | None, str | None, bool]] = field(default_factory=set)
    sides: set[tuple[int, int]] = field(default_factory=set)

    def add(self, scan: CohortScan, measured: MeasuredScan, pipeline: ScoringPipeline) -> None:
        """Score a measured scan and take note of what it is."""
        scored = pipeline.score_measured(measured)
        self.slices.extend((float(score), scan.patient) for score in scored.slice_scores)
        if len(scored.slice_scores) > 1:
            self.volumes.append((scored.score, scan.patient))
        self.statistics.append(measured.statistics)
        self.hottest.extend(measured.region_map.values.amax(dim=(1, 2, 3)).tolist())
        if measured.look is not None:
            self.looks.append(measured.look)
        self._describe(measured.scan)

    def _describe(self, scan: DecodedScan) -> None:
        self.kinds.add((scan.modality, scan.body_part, scan.is_color))
        short, long = sorted(scan.pixels.shape[1:])
        self.sides.add((short, long))


def score_fold(
    pipeline: ScoringPipeline, scans: Iterable[CohortScan], advance: Advance
) -> ScoredFold:
    """Score the healthy scans of a fold; unreadable ones are left out."""
    fold = ScoredFold()
    for scan, measured in measure_fold(pipeline, scans, advance):
        fold.add(scan, measured, pipeline)
    return fold


def calibrate_fold(
    fold: ScoredFold, promise: PromiseSpec, generator: np.random.Generator
) -> Calibrations:
    """Calibrate single slices, and volumes where there are enough of them.

    Raises:
        TooFewHealthyScans: too few patients even for single slices.
    """
    single = _calibrate(fold.slices, promise, generator)
    volume_patients = {patient for _, patient in fold.volumes}
    has_volumes = len(volume_patients) >= MINIMUM_PATIENTS
    return Calibrations(
        slice=single,
        volume=_calibrate(fold.volumes, promise, generator) if has_volumes else None,
    )


def raise_pixel_threshold(threshold: float, fold: ScoredFold, spec: RegionSpec) -> float:
    """Raise the pixel threshold until the wanted share of held-out healthy slices is under it.

    Args:
        threshold: what the wanted share of healthy pixels is under, unit of the region map.
        fold: the calibration fold; the fusion fold has few patients, and its own pixels are what
            the region map was normalized by.
        spec: which share of the slices.
    """
    if not spec.clean_share or not fold.hottest:
        return threshold
    return max(threshold, find_limit(np.array(fold.hottest), 1.0 - spec.clean_share))


def learn_domain(
    fitted: NDArray[np.float64], folds: tuple[ScoredFold, ...], kinds: tuple[str, ...]
) -> Domain:
    """Learn which scans the bundle may judge.

    Args:
        fitted: float64 [N, 7], image statistics of the fit fold.
        folds: healthy scans that the network was not fitted on.
        kinds: modalities that were declared for files that name none.

    Raises:
        TooFewHealthyScans: no healthy scan at all.
    """
    if not folds or not any(fold.statistics for fold in folds):
        raise TooFewHealthyScans("no healthy scan to learn the domain from")
    shape = LedoitWolf().fit(fitted)
    precision = tuple(tuple(float(value) for value in row) for row in shape.precision_)
    mean = tuple(float(value) for value in shape.location_)
    unlimited = StatisticsDomain(mean=mean, precision=precision, limit=1.0)
    farthest = max(unlimited.measure(each) for fold in folds for each in fold.statistics)
    named = set().union(*(fold.kinds for fold in folds))
    sides = set().union(*(fold.sides for fold in folds))
    modalities = {modality for modality, _, _ in named if modality} | set(kinds)
    return Domain(
        modalities=tuple(sorted(modalities)),
        body_parts=tuple(sorted({part for _, part, _ in named if part})),
        accepts_unstated=any(modality is None for modality, _, _ in named),
        accepts_color=any(is_color for _, _, is_color in named),
        shortest_side_px=min(short for short, _ in sides),
        longest_side_px=max(long for _, long in sides),
        largest_aspect=max(long / short for short, long in sides),
        statistics=unlimited.model_copy(update={"limit": STATISTICS_MARGIN * farthest}),
        appearance=_learn_appearance(folds),
    )


def _learn_appearance(folds: tuple[ScoredFold, ...]) -> AppearanceDomain | None:
    """Set the limits of how scans may look, where the pipeline measured it."""
    looks = [look for fold in folds for look in fold.looks]
    patients = {patient for fold in folds for _, patient in fold.slices}
    return learn_limits(looks, len(patients)) if looks else None


def _calibrate(
    votes: list[tuple[float, str]], promise: PromiseSpec, generator: np.random.Generator
) -> Calibration:
    scores = np.array([score for score, _ in votes], dtype=np.float64)
    patients = [patient for _, patient in votes]
    return calibrate(scores, patients, promise.rate, promise.confidence, generator)
