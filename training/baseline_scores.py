"""The baselines a bundle must beat, fitted on its own healthy scans and scored on the same road.

A baseline gets the foreground, the erosion and the smoothing of the bundle's region map, so that
what is compared is the distance alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.decoding.limits import DecodeLimits
from models.error_map import build_error_map
from models.errors import DecodeError, UnscorableScan
from models.networks.baselines import BASELINES, WHOLE_FOREGROUND, Baseline, MapBaseline
from models.networks.reconstruction import Reconstruction
from models.normalize import NormalizedScan, normalize_scan
from models.score import Scores, pool_error_map
from models.specs import ErrorMapSpec, HeadSpec, NormalizeSpec
from training.cohort import CohortScan
from training.dataset import decode_cohort_scan

# Baselines are fitted on at most so many pixels, which bounds memory for any cohort and size.
FIT_VALUES = 32_000_000
# Slices with less body teach nothing; the training cache leaves the same ones out.
MINIMUM_FOREGROUND_SHARE = 0.02
# These need healthy scans; the others are fixed formulas.
LEARNT = frozenset({"naive_bayes", "pca", "mean_distance", "image_statistics"})


@dataclass(frozen=True, slots=True)
class HealthySlices:
    """Healthy slices of the fit fold, as the network saw them.

    `image`: float32 [N, 1, H, W], 0..1; `foreground`: bool [N, 1, H, W]; True inside the body.
    `available` is how many scans the fold has, `read` how many of them these slices come from.
    """

    image: Tensor
    foreground: Tensor
    patients: tuple[str, ...]
    available: int
    read: int


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """What a baseline says of one scan.

    `scores`: float64 [S]; `error_map`: float32 [S, 1, H, W], tensor pixels, None without a map.
    """

    scores: Scores
    error_map: Tensor | None


def read_healthy_slices(
    scans: Sequence[CohortScan],
    spec: NormalizeSpec,
    limits: DecodeLimits,
    generator: np.random.Generator,
) -> HealthySlices:
    """Read healthy slices to fit baselines on: all of them, or as many as memory allows.

    Args:
        scans: the fit fold.
        spec: of the bundle.
        limits: what a scan may ask of the decoder.
        generator: chooses the scans where not all are read.
    """
    wanted = max(2, FIT_VALUES // spec.size_px**2)
    images, foregrounds, patients = [], [], []
    count, read = 0, 0
    for index in generator.permutation(len(scans)).tolist():
        if count >= wanted:
            break
        scan = scans[index]
        try:
            normalized = normalize_scan(decode_cohort_scan(scan, limits), spec)
        except (DecodeError, UnscorableScan):
            continue
        share = normalized.foreground.float().mean(dim=(1, 2, 3))
        kept = share >= MINIMUM_FOREGROUND_SHARE
        images.append(normalized.image[kept])
        foregrounds.append(normalized.foreground[kept])
        patients.extend([scan.patient] * int(kept.sum()))
        count, read = count + int(kept.sum()), read + 1
    empty = torch.zeros(0, 1, spec.size_px, spec.size_px)
    return HealthySlices(
        image=torch.cat([empty, *images])[:wanted],
        foreground=torch.cat([empty.bool(), *foregrounds])[:wanted],
        patients=tuple(patients[:wanted]),
        available=len(scans),
        read=read,
    )


def fit_baselines(healthy: HealthySlices) -> dict[str, Baseline]:
    """Fit every baseline; without healthy slices only those that learn nothing."""
    has_slices = len(healthy.image) > 1
    return {
        name: kind().fit(healthy.image, healthy.foreground)
        for name, kind in BASELINES.items()
        if has_slices or name not in LEARNT
    }


def measure_baselines(
    baselines: Mapping[str, Baseline], scan: NormalizedScan, spec: ErrorMapSpec
) -> dict[str, BaselineResult]:
    """Score one scan by every baseline.

    Args:
        baselines: fitted.
        scan: as the network was shown it.
        spec: of the bundle's region map; its distance and normalization are not used.
    """
    plain = spec.model_copy(update={"distance": "absolute", "is_normalized": False})
    return {name: _measure(name, each, scan, plain) for name, each in baselines.items()}


def _measure(
    name: str, baseline: Baseline, scan: NormalizedScan, spec: ErrorMapSpec
) -> BaselineResult:
    errors = baseline.error_map(scan.image)
    shown = scan.image if errors is None else errors
    # The absolute distance of the map to nothing is the map itself: smoothed, eroded, cut.
    finished = build_error_map(
        NormalizedScan(shown, scan.foreground, scan.frame, scan.window),
        Reconstruction(torch.zeros_like(shown)),
        spec,
        None,
        None,
    )
    if not isinstance(baseline, MapBaseline):
        scores = baseline.score(scan.image, finished.foreground)
        return BaselineResult(scores.double().numpy(), None)
    head = HeadSpec(
        name=name,
        error_map=spec,
        pool="mean" if baseline.pooled_share >= WHOLE_FOREGROUND else "top_share",
        top_share=baseline.pooled_share,
    )
    return BaselineResult(pool_error_map(finished, head), finished.values)
