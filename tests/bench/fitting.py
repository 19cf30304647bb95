"""Training images a second of `fit_network` against a bare loop of the same network."""

import time
from pathlib import Path

import torch
from torch.nn import functional

from models.networks.build import build_network
from tests.bench.ratio import Ratio, compare_rates
from tests.builders.fitting import MemorySlices
from training.fit import FitRun, fit_network
from training.recipe import Recipe, read_recipe
from training.train import TrainingWatch

NAME = "training, against a bare loop"
BAR = 0.8
# One look at the weights is due every 600 slices of the default recipe.
IMAGES = 608


def measure_fitting(folder: Path, rounds: int) -> Ratio:
    """Fit the default recipe's network for some steps, and step it bare for as many."""
    recipe = _shorten(read_recipe("default"))
    slices = MemorySlices(256, size_px=recipe.pipeline.normalize.size_px)
    _step_bare(recipe, slices, 2)  # the first steps choose kernels
    measured = [
        (
            _fit(recipe, slices, folder / str(number)),
            _step_bare(recipe, slices, recipe.optimizer.steps),
        )
        for number in range(rounds)
    ]
    return Ratio(NAME, *compare_rates(measured), "images/s", BAR, "at least")


def _shorten(recipe: Recipe) -> Recipe:
    """Give the recipe with one look at the weights in as many images as the whole one has."""
    optimizer = recipe.optimizer.model_copy(update={"images_seen": IMAGES})
    selection = recipe.selection.model_copy(update={"interval_share": 1.0})
    return recipe.model_copy(update={"optimizer": optimizer, "selection": selection})


def _fit(recipe: Recipe, slices: MemorySlices, folder: Path) -> float:
    """Give images a second of the whole fit: feed, augmentation, noise, looks, checkpoints."""
    validation = MemorySlices(64, size_px=recipe.pipeline.normalize.size_px, seed=2)
    run = FitRun(folder, "bench", 0, torch.device("cpu"))
    fitted = fit_network(recipe, slices, validation, run, TrainingWatch())
    return recipe.optimizer.images_seen / fitted.duration_s


def _step_bare(recipe: Recipe, slices: MemorySlices, steps: int) -> float:
    """Give images a second of forward, loss, backward and step on one batch in memory."""
    network = build_network(recipe.pipeline.network, torch.Generator().manual_seed(0)).train()
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    size = recipe.optimizer.batch_size
    batch = slices.image[:size].contiguous(memory_format=torch.channels_last)
    started = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        functional.mse_loss(network(batch).image, batch).backward()
        optimizer.step()
    return steps * size / (time.perf_counter() - started)
