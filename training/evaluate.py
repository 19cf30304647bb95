"""Bundle and cohort to the numbers of its card: what the test split says of the bundle.

Nothing is chosen here: thresholds, heads and weights come with the bundle, and the test split is
walked once.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from models.bundle.manifest import Folds as FoldsRecord
from models.decoding.limits import DecodeLimits
from models.detector import Detector
from models.errors import InvalidCohort
from training.baseline_scores import HealthySlices, fit_baselines, read_healthy_slices
from training.cohort import Cohort, CohortScan
from training.evaluation_alarms import measure_alarms, summarize_reasons, summarize_verdicts
from training.evaluation_groups import (
    measure_group,
    measure_labels,
    measure_parts,
    measure_subgroups,
    measure_windows,
)
from training.evaluation_options import EvaluationOptions
from training.examination import BUNDLE, Examination, Examiner
from training.folds import split_folds
from training.latents import PriorSamples, draw_prior_samples
from training.peers import fit_peers
from training.pixel_metrics import BIN_WIDTH_SHARE, FALSE_ALARM_LIMIT, PixelCounts
from training.recipe import FoldsSpec
from training.units import UnitTable

# Nested dictionaries and lists of plain values, as JSON holds them.
Summary = dict[str, Any]

PIXEL_METRICS = ("ap", "ap_abnormal", "best_dice", "aupro", "hottest_inside", "clean")
HOW_INDETERMINATE = (
    "indeterminate scans with a score keep it in every metric; as alarms count anomalous verdicts "
    "alone, so an indeterminate healthy scan is no false alarm; scans without a score take part in "
    "no metric"
)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The numbers for people and machines, and what pictures are drawn from."""

    summary: Summary
    examination: Examination
    samples: PriorSamples | None


def evaluate_detector(
    detector: Detector,
    cohort: Cohort,
    options: EvaluationOptions,
    advance: Callable[[], None],
) -> Evaluation:
    """Evaluate a loaded bundle on the test split of a cohort.

    Args:
        detector: the bundle.
        cohort: with a test split; its healthy training scans are what baselines are fitted on.
        options: seed, windows, subgroups.
        advance: called after each test scan, for a progress bar.

    Raises:
        InvalidCohort: no test scans, none that can be scored, or a column that is not there.
    """
    scans = cohort.scans("test")
    columns = tuple(dict.fromkeys([*(w.column for w in options.windows), *options.subgroups]))
    _check_cohort(cohort, scans, columns)
    healthy = _read_fit_fold(detector, cohort, options.seed)
    baselines = fit_baselines(healthy)
    if options.peers and len(healthy.image) > 1:
        baselines |= fit_peers(detector.pipeline.network, healthy)
    examiner = Examiner(detector, baselines, columns)
    examination = examiner.examine(scans, advance)
    if not len(examination.units):
        raise InvalidCohort("not one test scan could be scored")
    generator = torch.Generator().manual_seed(options.seed)
    samples = draw_prior_samples(detector.pipeline.network, healthy, generator)
    summary = _summarize(detector, examination, options)
    summary["baselines_fitted_on"] = {
        "scans": healthy.read,
        "of": healthy.available,
        "slices": len(healthy.image),
    }
    summary["latent"] = _summarize_latent(examination, samples)
    return Evaluation(replace_undefined(summary), examination, samples)


def restore_fit_fold(scans: Sequence[CohortScan], record: FoldsRecord) -> Sequence[CohortScan]:
    """Divide the healthy training scans again as the bundle's training did; gives the fit fold."""
    shares = FoldsSpec(**record.model_dump(exclude={"seed"}))
    return split_folds(scans, shares, np.random.default_rng([record.seed, 1])).fit


def _check_cohort(cohort: Cohort, scans: Sequence[CohortScan], columns: Sequence[str]) -> None:
    if not len(scans):
        raise InvalidCohort("the cohort has no test split: there is nothing to evaluate on")
    missing = [name for name in columns if name not in cohort.columns]
    if missing:
        known = ", ".join(cohort.columns) or "none"
        raise InvalidCohort(f"the cohort has no column {', '.join(missing)}; it has: {known}")


def _read_fit_fold(detector: Detector, cohort: Cohort, seed: int) -> HealthySlices:
    """Read the healthy slices for the baselines; none where the cohort has too few patients."""
    scans: Sequence[CohortScan] = cohort.scans("train")
    if len({scan.patient for scan in scans}) >= len(FoldsSpec.model_fields):
        scans = restore_fit_fold(scans, detector.bundle.manifest.origin.folds)
    spec = detector.pipeline.spec.normalize
    return read_healthy_slices(scans, spec, DecodeLimits(), np.random.default_rng(seed))


def _summarize(detector: Detector, examination: Examination, options: EvaluationOptions) -> Summary:
    bundle = detector.bundle
    units, volumes = examination.units, examination.volumes
    everybody = np.ones(len(units), dtype=np.bool_)
    calibration = bundle.calibrations.choose(examination.usual_slice_count)
    return {
        "bundle": {
            "digest": detector.digest,
            "name": bundle.manifest.name,
            "recipe": bundle.manifest.origin.recipe,
            "is_synthetic": bundle.manifest.is_synthetic,
        },
        "n": len(units),
        "unit": units.kind,
        "counts": _count(examination),
        "seconds_per_scan": examination.seconds / max(1, examination.scan_count),
        "seed": options.seed,
        "resamples": options.resamples,
        "image": measure_group(units, everybody, options),
        "heads": measure_parts(units, "head", options),
        "labels": measure_labels(units, options),
        "subgroups": measure_subgroups(units, options),
        "windows": measure_windows(units, options),
        "volume": None if volumes is None else _measure_volumes(detector, volumes, options),
        "pixel": _measure_pixels(detector, examination, options),
        "false_alarm": measure_alarms(units, calibration),
        "verdicts": summarize_verdicts(units, options),
        "indeterminate": {**summarize_reasons(units), "how": HOW_INDETERMINATE},
        "baselines": _measure_baselines(units, examination.pixels, options),
    }


def _measure_volumes(detector: Detector, volumes: UnitTable, options: EvaluationOptions) -> Summary:
    """Measure whole series: a volume is abnormal when any of its slices is."""
    everybody = np.ones(len(volumes), dtype=np.bool_)
    calibration = detector.bundle.calibrations.volume
    return {
        "n": len(volumes),
        **measure_group(volumes, everybody, options),
        "false_alarm": measure_alarms(volumes, calibration),
        "verdicts": summarize_verdicts(volumes, options),
        "indeterminate": summarize_reasons(volumes),
    }


def _measure_pixels(
    detector: Detector, examination: Examination, options: EvaluationOptions
) -> Summary:
    """Measure the region map against the masks; every value is null without masks."""
    counts = examination.pixels.get(BUNDLE)
    if counts is None or not counts.masked_slice_count:
        return dict.fromkeys(PIXEL_METRICS) | {"masked_slices": 0}
    metrics = counts.compute()
    intervals = counts.bootstrap(options.resamples, np.random.default_rng(options.seed))
    return {
        **metrics,
        **{f"{name}_ci": list(interval) for name, interval in intervals.items()},
        "hottest_inside": counts.hottest_inside_share,
        "clean": counts.clean_share,
        "grid_px": detector.pipeline.spec.normalize.size_px,
        "slices": counts.slice_count,
        "masked_slices": counts.masked_slice_count,
        "unmasked_slices": examination.unmasked_slices,
        "bin_width_share": BIN_WIDTH_SHARE,
        "aupro_limit": FALSE_ALARM_LIMIT,
        "how": (
            "on the network's grid, masks resized to the nearest pixel; every pixel of the picture "
            "counts, background included, padding left out"
        ),
    }


def _measure_baselines(
    units: UnitTable, pixels: Mapping[str, PixelCounts], options: EvaluationOptions
) -> Summary:
    measured = measure_parts(units, "baseline", options)
    for name, metrics in measured.items():
        counts = pixels.get(name)
        found = counts.compute() if counts is not None and counts.masked_slice_count else {}
        metrics["pixel_ap"] = found.get("ap")
        metrics["pixel_ap_abnormal"] = found.get("ap_abnormal")
        metrics["pixel_aupro"] = found.get("aupro")
        metrics["pixel_best_dice"] = found.get("best_dice")
    return measured


def _count(examination: Examination) -> Summary:
    units = examination.units
    is_abnormal = units.is_abnormal
    return {
        "healthy": int((~is_abnormal).sum()),
        "abnormal": int(is_abnormal.sum()),
        "labels": dict(sorted(Counter(units.labels).items())),
        "patients": len(set(units.patients)),
        "scans": examination.scan_count,
        "unscored": dict(units.unscored),
        "unread": dict(examination.unread),
    }


def _summarize_latent(examination: Examination, samples: PriorSamples | None) -> Summary:
    found: Summary = {"active_dimensions": examination.latents.count_active()}
    if samples is not None:
        found["sample_distance"] = float(np.median(samples.distances))
        found["smallest_sample_distance"] = float(samples.distances.min())
        found["healthy_distance"] = float(np.median(samples.healthy_distances))
        found["smallest_healthy_distance"] = float(samples.healthy_distances.min())
        found["redrawn_distance"] = float(np.median(samples.redrawn_distances))
    return found


def replace_undefined(summary: Mapping[str, Any]) -> Summary:
    """Give the summary with JSON's null for numbers that are not defined."""
    return {key: _replace(value) for key, value in summary.items()}


def _replace(value: object) -> object:
    if isinstance(value, Mapping):
        return replace_undefined(value)
    if isinstance(value, list | tuple):
        return [_replace(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
