"""Cohort and recipe to a published bundle: every stage of a training run, in order."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.bundle.card import CardFacts
from models.bundle.manifest import Folds as FoldsRecord
from models.bundle.manifest import Manifest, Origin
from models.calibration import MINIMUM_PATIENTS
from models.decoding.limits import DecodeLimits
from models.detector import Detector
from models.errors import BundleError, TooFewHealthyScans
from models.networks.statistics import compute_image_statistics
from models.pipeline import ScoringPipeline, list_error_maps
from training.calibrate import (
    calibrate_fold,
    learn_domain,
    raise_pixel_threshold,
    score_fold,
)
from training.cohort import Cohort, CohortScan
from training.dataset import SliceDataset
from training.distributed import Group
from training.fit import FitRun, FittedNetwork, fit_network
from training.fit_state import HistoryPoint
from training.folds import FOLDS, Folds, split_folds
from training.healthy import learn_healthy
from training.looks import learn_appearance
from training.perceptual_weights import load_perceptual_features
from training.progress import FitProgress
from training.provenance import build_provenance
from training.publish import assemble_detector, publish_bundle
from training.recipe import Recipe
from training.slice_cache import SliceCache, SliceCacheSpec, open_slice_cache

# Slices that the averages and statistics of the fit fold are read in at once.
READ_SLICES = 64

Measure = Callable[[Detector], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """What is trained, from what, into which folder.

    `work` keeps the slice cache and the checkpoint: the same run goes on from them after a kill.
    `modalities` are what files that name none are declared to be. `measure` gives the card's
    metrics from the finished detector. `notes` are further lines of the card.
    """

    cohort: Cohort
    recipe: Recipe
    out: Path
    work: Path
    seed: int
    device: torch.device
    created_at: datetime
    modalities: tuple[str, ...]
    is_synthetic: bool
    measure: Measure
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def cohort_digest(self) -> str:
        """SHA-256 of what the cohort's table says."""
        return compute_cohort_digest(self.cohort)


@dataclass(frozen=True, slots=True)
class PreparedFit:
    """What a network is fitted on: folds, cached slices, frozen features where they are asked for.

    `key` names the cache, and with it the files and how they were normalized.
    """

    folds: Folds
    fit: SliceDataset
    validation: SliceDataset
    features: nn.Module | None
    key: str
    unread: int


class TrainingWatch(FitProgress):
    """What a training run tells whoever watches: its stages, beside the steps of the fit."""

    def start(self, stage: str, total: int) -> None:
        """Tell that a stage of so many scans starts."""

    def step(self, done: int) -> None:
        """Tell how many scans of the stage are done."""


class SilentWatch(TrainingWatch):
    """Watches a training run and says nothing."""

    def begin(self, images_seen: int, images_total: int) -> None:
        """Take no note."""

    def advance(self, images_seen: int, loss: float) -> None:
        """Take no note."""

    def note(self, point: HistoryPoint) -> None:
        """Take no note."""


@dataclass(slots=True)
class _Clock:
    """How long each stage took."""

    durations_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.durations_s[stage] = time.monotonic() - started


def train_bundle(run: TrainingRun, group: Group, watch: TrainingWatch) -> str | None:
    """Train a bundle and publish it; in a group only the first process publishes.

    Returns:
        The digest of the bundle; None in the other processes of a group.

    Raises:
        AegleError: the leaf says what is wrong with cohort, recipe or checkpoint.
    """
    check_place(run.out)
    clock = _Clock()
    with clock.time("cache"):
        prepared = prepare_fit(run, watch)
    with clock.time("fit"):
        fitted = fit_prepared(run, prepared, group, watch)
    if not group.is_first:
        return None
    with clock.time("calibration"):
        detector = _build_detector(run, prepared, fitted, clock, watch)
    with clock.time("measurement"):
        measured = run.measure(detector)
    facts = CardFacts(
        flow=[(f.split, f.label, f.patients, f.scans, f.rows) for f in run.cohort.flow],
        measured=measured,
        training=_describe_training(run, fitted, clock),
        dropped=prepared.unread,
    )
    return publish_bundle(detector, _average_slices(prepared.fit), facts, run.out)


def prepare_fit(run: TrainingRun, watch: TrainingWatch) -> PreparedFit:
    """Divide the healthy scans and bring their slices into the cache.

    Raises:
        AegleError: the cohort is too small, or too many scans cannot be read.
    """
    folds = split_cohort(run.cohort, run.recipe, run.seed)
    _check_calibration(folds)
    cache = _open_cache(run, folds, watch)
    return PreparedFit(
        folds=folds,
        fit=cache.select(folds.fit),
        validation=cache.select(folds.validation),
        features=_load_features(run.recipe),
        key=cache.key,
        unread=len(cache.unread),
    )


def fit_prepared(
    run: TrainingRun, prepared: PreparedFit, group: Group, watch: FitProgress
) -> FittedNetwork:
    """Fit the network in a folder of its own for this recipe, this cohort, its files, this seed."""
    shown = hashlib.sha256(f"{run.cohort_digest} {prepared.key}".encode()).hexdigest()
    parts = (run.recipe.name, run.recipe.digest[:8], shown[:8], f"seed{run.seed}")
    fit_run = FitRun(
        folder=run.work / "-".join(parts),
        cohort_digest=shown,
        seed=run.seed,
        device=run.device,
        group=group,
        features=prepared.features,
    )
    return fit_network(run.recipe, prepared.fit, prepared.validation, fit_run, watch)


def check_place(out: Path) -> None:
    """Refuse a folder that is there already.

    Raises:
        BundleError: it is.
    """
    if out.exists():
        raise BundleError(f"{out} is there already; choose another folder or remove it")


def compute_cohort_digest(cohort: Cohort) -> str:
    """Give the SHA-256 of what the cohort's table says: paths, splits, labels, patients, series."""
    digest = hashlib.sha256()
    for split in ("train", "test"):
        for scan in cohort.scans(split):
            for row in scan.rows:
                path = row.path.relative_to(cohort.root).as_posix()
                fields = (path, row.split, row.label, row.patient, row.series or "")
                digest.update("\t".join(fields).encode() + b"\n")
    return digest.hexdigest()


def split_cohort(cohort: Cohort, recipe: Recipe, seed: int) -> Folds:
    """Divide the healthy training scans; the same seed divides them again for an evaluation."""
    return split_folds(cohort.scans("train"), recipe.folds, np.random.default_rng([seed, 1]))


def _check_calibration(folds: Folds) -> None:
    """Refuse, before the hours of the fit, a cohort too small for any promise."""
    patients = len({scan.patient for scan in folds.calibration})
    if patients < MINIMUM_PATIENTS:
        raise TooFewHealthyScans(
            f"the calibration fold has {patients} patients, expected {MINIMUM_PATIENTS} or more: "
            "give more healthy patients, or that fold a larger share in the recipe"
        )


def _open_cache(run: TrainingRun, folds: Folds, watch: TrainingWatch) -> SliceCache:
    scans = [*folds.fit, *folds.validation]
    watch.start("decode", len(scans))
    return open_slice_cache(
        scans,
        SliceCacheSpec(normalize=run.recipe.pipeline.normalize),
        DecodeLimits(),
        run.work / "slices",
        workers=0,
        progress=lambda done, _: watch.step(done),
    )


def _load_features(recipe: Recipe) -> nn.Module | None:
    distances = {error_map.distance for error_map in list_error_maps(recipe.pipeline)}
    wants_features = "perceptual" in distances or recipe.loss.kind == "perceptual"
    return load_perceptual_features() if wants_features else None


def _build_detector(
    run: TrainingRun,
    prepared: PreparedFit,
    fitted: FittedNetwork,
    clock: _Clock,
    watch: TrainingWatch,
) -> Detector:
    """Learn the healthy scale, the calibration and the domain around the fitted network."""
    features, folds = prepared.features, prepared.folds
    spec = run.recipe.pipeline
    bare = ScoringPipeline(spec, fitted.network, None, features)
    passes = 2 if any(each.is_normalized for each in list_error_maps(spec)) else 1
    watch.start("fusion", passes * len(folds.fusion))
    generator = np.random.default_rng([run.seed, 2])
    healthy = learn_healthy(bare, folds.fusion, generator, _count_steps(watch))
    healthy = replace(healthy, appearance=learn_appearance(prepared.fit))
    pipeline = ScoringPipeline(spec, fitted.network, healthy, features)
    watch.start("calibration", len(folds.calibration))
    held_out = score_fold(pipeline, folds.calibration, _count_steps(watch))
    threshold = raise_pixel_threshold(healthy.pixel_threshold, held_out, spec.region)
    healthy = replace(healthy, pixel_threshold=threshold)
    pipeline = ScoringPipeline(spec, fitted.network, healthy, features)
    calibrations = calibrate_fold(
        held_out, run.recipe.promise, np.random.default_rng([run.seed, 3])
    )
    domain = learn_domain(_collect_statistics(prepared.fit), (held_out,), run.modalities)
    manifest = Manifest(
        name=run.out.name,
        created_at=run.created_at,
        is_synthetic=run.is_synthetic,
        pipeline=spec,
        pixel_threshold=healthy.pixel_threshold,
        domain=domain,
        origin=_describe_origin(run, folds, clock),
    )
    return assemble_detector(manifest, calibrations, pipeline)


def _count_steps(watch: TrainingWatch) -> Callable[[CohortScan], None]:
    done = 0

    def advance(_: CohortScan) -> None:
        nonlocal done
        done += 1
        watch.step(done)

    return advance


def _collect_statistics(slices: SliceDataset) -> NDArray[np.float64]:
    """Give the image statistics of all slices: float64 [N, 7]."""
    parts = [compute_image_statistics(*slices.read_batch(chunk)) for chunk in _chunk(len(slices))]
    statistics: NDArray[np.float64] = torch.cat(parts).double().numpy()
    return statistics


def _average_slices(slices: SliceDataset) -> NDArray[np.float32]:
    """Give the mean of all slices: float32 [H, W], 0..1."""
    total = sum(slices.read_batch(chunk)[0].double().sum(dim=0) for chunk in _chunk(len(slices)))
    average: NDArray[np.float32] = (torch.as_tensor(total)[0] / len(slices)).float().numpy()
    return average


def _chunk(count: int) -> Iterator[Sequence[int]]:
    for first in range(0, count, READ_SLICES):
        yield range(first, min(first + READ_SLICES, count))


def _describe_origin(run: TrainingRun, folds: Folds, clock: _Clock) -> Origin:
    recipe = run.recipe
    names = (recipe.name, recipe.digest, run.cohort_digest)
    provenance = build_provenance(names, run.seed, run.device, clock.durations_s)
    return Origin(
        recipe=recipe.name,
        recipe_digest=recipe.digest,
        cohort_digest=names[2],
        seed=run.seed,
        folds=FoldsRecord(seed=run.seed, **recipe.folds.model_dump()),
        counts={name: len(getattr(folds, name)) for name in FOLDS},
        versions={**provenance.packages, "python": provenance.python},
        training={
            "device": provenance.device,
            "threads": provenance.threads,
            "processes": provenance.processes,
            "machine": provenance.machine,
        },
    )


def _describe_training(run: TrainingRun, fitted: FittedNetwork, clock: _Clock) -> dict[str, str]:
    facts = {
        "recipe": f"{run.recipe.name}: {run.recipe.summary}",
        "seed": str(run.seed),
        "chosen step": str(fitted.chosen_step),
        "separation of synthetic anomalies": (
            "not measured" if fitted.separation is None else f"AUROC {fitted.separation:.3f}"
        ),
    }
    last = fitted.history[-1] if fitted.history else None
    if last is not None and last.active_latent is not None:
        facts["active latent dimensions"] = str(last.active_latent)
    facts |= run.notes
    return facts | {f"seconds, {stage}": f"{s:.0f}" for stage, s in clock.durations_s.items()}
