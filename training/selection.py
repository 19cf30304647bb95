"""How good the weights are, told from healthy validation slices alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from models.error_map import HealthyPixels, build_error_map
from models.networks.reconstruction import Network, Reconstruction
from models.networks.variational import count_active_dimensions
from models.normalize import Frame, NormalizedScan
from models.reconstruct import reconstruct
from models.score import MINIMUM_SCALE_SCORES, HeadScale, Scores, combine_heads, pool_error_map
from models.specs import ErrorMapSpec
from training.anomalies import ANOMALIES, Batch, insert_anomaly
from training.feed import Slices, read_slices
from training.losses import compute_loss
from training.noise import add_noise, draw_noise
from training.randomness import make_generator
from training.recipe import Recipe

# Each slice gets this many of the kinds, dealt in turn: all kinds on all slices take three times
# as long.
KINDS_PER_SLICE = 2
# Slices of one kind under which an AUROC says nothing.
MINIMUM_OF_A_KIND = 2


@dataclass(frozen=True, slots=True)
class Check:
    """What one look at the weights gave.

    `loss`: of the recipe, on healthy validation slices. `separation`: mean over the kinds of the
    AUROC between healthy slices and slices with an anomaly, 0..1; None where there are too few
    slices. `by_kind`: the same for each kind. `active_latent`: how many latent dimensions carry
    anything, where the latent is a distribution.
    """

    loss: float
    separation: float | None
    by_kind: Mapping[str, float]
    active_latent: int | None


# What processes other than the first see.
EMPTY_CHECK = Check(loss=0.0, separation=None, by_kind={}, active_latent=None)


class Examiner:
    """Looks at weights again and again with the same slices, anomalies and noise."""

    def __init__(
        self, slices: Slices, recipe: Recipe, seed: int, features: nn.Module | None
    ) -> None:
        """Draw the slices and their anomalies, once.

        Args:
            slices: of healthy validation scans; a share of them is used.
            recipe: whose heads and loss are measured.
            seed: of the run.
            features: frozen network of the perceptual distance, where the recipe asks for it.
        """
        self._recipe = recipe
        self._features = features
        order = torch.randperm(len(slices), generator=make_generator(seed, "examined", 0))
        image, foreground = read_slices(slices, order[: recipe.selection.slices].tolist())
        has_body = foreground.flatten(1).any(1)
        self._healthy = Batch(image[has_body], foreground[has_body])
        self._altered = _alter(self._healthy, seed)
        self._shown = self._healthy.image
        if recipe.noise is not None:
            generator = make_generator(seed, "examined noise", 0)
            noise = draw_noise(recipe.noise, len(image), image.shape[1], generator)
            self._shown = add_noise(image, foreground, noise)[has_body]

    def examine(self, network: Network, done_share: float, *, separates: bool) -> Check:
        """Look at a network in evaluation mode.

        Args:
            network: on any device.
            done_share: how much of the training is done, 0..1.
            separates: whether to measure the separation too, which takes several times as long.
        """
        healthy = self._healthy
        redrawn = reconstruct(network, self._shown)
        with torch.no_grad():
            loss = compute_loss(
                redrawn,
                healthy.image,
                healthy.foreground,
                self._recipe.loss,
                done_share,
                self._features,
            )
        by_kind = self._separate(network) if separates else {}
        means = redrawn.latent_mean if redrawn.latent_log_variance is not None else None
        return Check(
            loss=float(loss.mean()),
            separation=float(np.mean(list(by_kind.values()))) if by_kind else None,
            by_kind=by_kind,
            active_latent=None if means is None else count_active_dimensions(means),
        )

    def _separate(self, network: Network) -> dict[str, float]:
        """AUROC of each kind against the healthy slices, by the recipe's own heads."""
        altered = {
            kind: batch
            for kind, batch in self._altered.items()
            if len(batch.image) >= MINIMUM_OF_A_KIND
        }
        if len(self._healthy.image) < MINIMUM_SCALE_SCORES or not altered:
            return {}
        spec = self._recipe.pipeline.score
        healthy_maps = _HealthyMaps({})
        healthy = self._pool(network, self._healthy, healthy_maps)
        scales = {name: HeadScale(np.sort(values)) for name, values in healthy.items()}
        typical = combine_heads(healthy, scales, spec)
        return {
            kind: compute_separation(
                typical, combine_heads(self._pool(network, batch, healthy_maps), scales, spec)
            )
            for kind, batch in altered.items()
        }

    def _pool(self, network: Network, batch: Batch, maps: "_HealthyMaps") -> dict[str, Scores]:
        """Value of each head for each slice: float64 [B]."""
        scan = _as_scan(batch)
        redrawn = reconstruct(network, batch.image)
        pooled = {}
        for head in self._recipe.pipeline.score.heads:
            healthy = maps.find(scan, redrawn, head.error_map, self._features)
            error_map = build_error_map(scan, redrawn, head.error_map, healthy, self._features)
            pooled[head.name] = pool_error_map(error_map, head)
        return pooled


def compute_separation(typical: Scores, altered: Scores) -> float:
    """Give the AUROC between two sets of scores: 1 where every altered one is higher."""
    truth = np.repeat([0, 1], [len(typical), len(altered)])
    return float(roc_auc_score(truth, np.concatenate([typical, altered])))


@dataclass(frozen=True, slots=True)
class _HealthyMaps:
    """Healthy statistics of the normalized error maps, from the first batch, which is healthy."""

    known: dict[ErrorMapSpec, HealthyPixels]

    def find(
        self,
        scan: NormalizedScan,
        redrawn: Reconstruction,
        spec: ErrorMapSpec,
        features: nn.Module | None,
    ) -> HealthyPixels | None:
        if not spec.is_normalized:
            return None
        if spec not in self.known:
            bare = spec.model_copy(update={"is_normalized": False})
            values = build_error_map(scan, redrawn, bare, None, features).values
            self.known[spec] = HealthyPixels(
                values.mean(0, keepdim=True), values.std(0, keepdim=True)
            )
        return self.known[spec]


def _alter(healthy: Batch, seed: int) -> dict[str, Batch]:
    """Deal the kinds to the slices in turn, and insert them."""
    altered = {}
    places = torch.arange(len(healthy.image))
    stride = len(ANOMALIES) // KINDS_PER_SLICE
    for number, kind in enumerate(ANOMALIES):
        chosen = places % stride == number % stride
        batch = Batch(healthy.image[chosen], healthy.foreground[chosen])
        if len(batch.image):
            generator = make_generator(seed, f"anomaly {kind}", 0)
            batch = Batch(insert_anomaly(batch, kind, generator), batch.foreground)
        altered[kind] = batch
    return altered


def _as_scan(batch: Batch) -> NormalizedScan:
    """Dress slices that fill the whole square as a scan."""
    side = batch.image.shape[-1]
    return NormalizedScan(
        image=batch.image,
        foreground=batch.foreground,
        frame=Frame(side, side, 0, 0, side, side, side),
        window=(0.0, 1.0),
    )
