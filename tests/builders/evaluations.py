"""A cohort with blobs for lesions, and a bundle around an unfitted network, made in a second."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import Folds, Manifest, Origin
from models.detector import Detector
from models.networks.reconstruction import Network
from models.pipeline import ScoringPipeline
from models.specs import (
    ErrorMapSpec,
    FixedWindowSpec,
    HeadSpec,
    NormalizeSpec,
    PipelineSpec,
    RegionSpec,
    ScoreSpec,
)
from tests.builders.cohorts import Row, make_picture, write_cohort, write_picture
from tests.builders.networks import make_network, make_spec
from training.calibrate import calibrate_fold, learn_domain, score_fold
from training.cohort import Cohort
from training.folds import split_folds
from training.healthy import learn_healthy
from training.publish import assemble_detector
from training.recipe import FoldsSpec, PromiseSpec

SIDE_PX = 48
LESION = 50
FOLDS = FoldsSpec(fit=0.4, validation=0.1, fusion=0.25, calibration=0.25)


def write_lesion_cohort(folder: Path, *, has_series: bool) -> Path:
    """Write 40 healthy training pictures, and 12 healthy and 12 abnormal test pictures.

    With series each test patient has a volume of four slices, the last two abnormal but in one.
    """
    rows = [Row(f"train/{index}.png", patient=f"train{index}") for index in range(40)]
    for index in range(24):
        is_abnormal = index >= 4 and index % 4 >= 2 if has_series else index >= 12
        patient = f"test{index // 4}" if has_series else f"test{index}"
        name = f"test/{index}.png"
        seed = 1000 + index
        write_picture(folder / name, draw_scan(seed, has_lesion=is_abnormal))
        if is_abnormal:
            write_picture(folder / f"mask/{index}.png", (255 * draw_lesion(seed)).astype(np.uint8))
        rows.append(
            Row(
                name,
                split="test",
                label=("blob" if index % 2 else "spot") if is_abnormal else "healthy",
                patient=patient,
                mask=f"mask/{index}.png" if is_abnormal else "",
                series=patient if has_series else "",
                more={"position": f"{index % 4 / 4}", "site": "north" if index % 3 else ""},
            )
        )
    return write_cohort(folder, rows, SIDE_PX)


def draw_lesion(seed: int) -> NDArray[np.bool_]:
    """Give the place of the lesion of a scan: bool [H, W]."""
    row, column = np.random.default_rng(seed).integers(16, 32, size=2)
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    return (rows - row) ** 2 + (columns - column) ** 2 < 5**2


def draw_scan(seed: int, *, has_lesion: bool) -> NDArray[np.uint8]:
    """Draw a scan, with a bright lesion where asked for: uint8 [H, W]."""
    picture = make_picture(seed, SIDE_PX)
    return (picture + LESION * draw_lesion(seed)).astype(np.uint8) if has_lesion else picture


def build_detector(cohort: Cohort, kind: str = "vae") -> Detector:
    """Build a calibrated detector whose network was never fitted; bright spots stand out to it."""
    errors = ErrorMapSpec(erosion_share=0.02, median_px=3)
    heads = (
        HeadSpec(name="diffuse", error_map=errors, pool="mean"),
        HeadSpec(name="focal", error_map=errors, pool="top_share", top_share=0.05),
    )
    spec = PipelineSpec(
        normalize=NormalizeSpec(size_px=32, window=FixedWindowSpec(kind="fixed", low=0, high=255)),
        network=make_spec(kind),
        score=ScoreSpec(heads=heads),
        region=RegionSpec(error_map=errors, pixel_quantile=0.99),
    )
    return calibrate_pipeline(spec, make_network(kind), cohort)


def calibrate_pipeline(spec: PipelineSpec, network: Network, cohort: Cohort) -> Detector:
    """Learn the healthy scale, the calibration and the domain around a network as it is."""
    folds = split_folds(cohort.scans("train"), FOLDS, np.random.default_rng([0, 1]))
    bare = ScoringPipeline(spec, network, None, None)
    healthy = learn_healthy(bare, folds.fusion, np.random.default_rng(2), lambda _: None)
    pipeline = ScoringPipeline(spec, network, healthy, None)
    held_out = score_fold(pipeline, folds.calibration, lambda _: None)
    promise = PromiseSpec(rate=0.2, confidence=0.8)
    statistics = np.array(score_fold(pipeline, folds.fit, lambda _: None).statistics)
    manifest = Manifest(
        name="tiny <b>bundle</b>",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        is_synthetic=True,
        pipeline=spec,
        pixel_threshold=healthy.pixel_threshold,
        domain=learn_domain(statistics, (held_out,), ()),
        origin=Origin(
            recipe="tiny",
            recipe_digest="0",
            cohort_digest="0",
            seed=0,
            folds=Folds(seed=0, **FOLDS.model_dump()),
            counts={},
            versions={},
            training={},
        ),
    )
    calibrations = calibrate_fold(held_out, promise, np.random.default_rng(3))
    return assemble_detector(manifest, calibrations, pipeline)
