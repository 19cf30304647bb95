"""A tiny bundle, trained through the whole road in seconds, and ways to tamper with one."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.bundle import layout
from models.bundle.write import digest_file
from training.cohort import read_cohort
from training.distributed import SINGLE
from training.recipe import Recipe, parse_recipe
from training.train import SilentWatch, TrainingRun, train_bundle

TINY_RECIPE = """
name = "tiny"
summary = "Fits in seconds."

[pipeline.normalize]
size_px = 32

[pipeline.network]
kind = "denoising_unet"
size_px = 32
width = 4
levels = 2

[[pipeline.score.heads]]
name = "structural"
pool = "mean"
error_map = { distance = "structural", erosion_share = 0.05 }

[[pipeline.score.heads]]
name = "focal"
pool = "top_share"
top_share = 0.05
error_map = { distance = "absolute", median_px = 3, erosion_share = 0.05 }

[pipeline.region]
pixel_quantile = 0.97
error_map = { distance = "absolute", median_px = 3, erosion_share = 0.05, is_normalized = true }

[loss]
kind = "squared"

[noise]
cells = 8
sigma = 0.2

[optimizer]
images_seen = 400
batch_size = 4
learning_rate = 1e-2

[selection]
slices = 8
ema_decay = 0.8

[folds]
fit = 0.4
validation = 0.1
fusion = 0.25
calibration = 0.25

[promise]
rate = 0.2
confidence = 0.8
"""


def make_tiny_recipe() -> Recipe:
    """Give the tiny recipe."""
    return parse_recipe(TINY_RECIPE)


def make_tiny_run(cohort: Path, out: Path, work: Path, seed: int = 0) -> TrainingRun:
    """Describe a tiny run that measures nothing for its card."""
    return TrainingRun(
        cohort=read_cohort(cohort),
        recipe=make_tiny_recipe(),
        out=out,
        work=work,
        seed=seed,
        device=torch.device("cpu"),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        modalities=(),
        is_synthetic=True,
        measure=lambda _: {},
    )


def train_tiny_bundle(cohort: Path, out: Path, work: Path, seed: int = 0) -> Path:
    """Train the tiny bundle on a cohort."""
    train_bundle(make_tiny_run(cohort, out, work, seed), SINGLE, SilentWatch())
    return out


def copy_bundle(source: Path, target: Path) -> Path:
    """Copy a bundle to a place where it may be spoilt."""
    shutil.copytree(source, target)
    return target


def edit_json(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change a JSON file in place."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def edit_weights(folder: Path, edit: Callable[[dict[str, Tensor]], None]) -> None:
    """Change the tensors of a bundle in place."""
    weights = load_file(folder / layout.WEIGHTS)
    edit(weights)
    save_file(weights, folder / layout.WEIGHTS)


def sign_again(folder: Path) -> None:
    """Write the digests of the files as they are now into the manifest, as a forger would."""

    def write(manifest: dict[str, Any]) -> None:
        for name in layout.DIGESTED_FILES:
            manifest["files"][name] = digest_file(folder / name)

    edit_json(folder / layout.MANIFEST, write)
