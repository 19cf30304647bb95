"""How good the weights are, told from healthy validation slices alone."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from models.networks.reconstruction import Network
from models.networks.variational import count_active_dimensions
from models.reconstruct import reconstruct
from training.feed import Slices
from training.losses import compute_loss
from training.noise import add_noise, draw_noise
from training.panel import Panel, PanelSize, average
from training.randomness import make_generator
from training.recipe import Recipe

# All kinds on all slices take five times as long.
KINDS_PER_SLICE = 2


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
        size = PanelSize(recipe.selection.slices, KINDS_PER_SLICE)
        self._panel = Panel(slices, size, seed, features)
        healthy = self._panel.healthy
        self._shown = healthy.image
        if recipe.noise is not None and len(healthy.image):
            generator = make_generator(seed, "examined noise", 0)
            count, channels = healthy.image.shape[:2]
            noise = draw_noise(recipe.noise, count, channels, generator)
            self._shown = add_noise(healthy.image, healthy.foreground, noise)

    def examine(self, network: Network, done_share: float, *, separates: bool) -> Check:
        """Look at a network in evaluation mode.

        Args:
            network: on any device.
            done_share: how much of the training is done, 0..1.
            separates: whether to measure the separation too, which takes several times as long.
        """
        healthy = self._panel.healthy
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
        score = self._recipe.pipeline.score
        by_kind = self._panel.separate(network, score) if separates else {}
        means = redrawn.latent_mean if redrawn.latent_log_variance is not None else None
        return Check(
            loss=float(loss.mean()),
            separation=average(by_kind),
            by_kind=by_kind,
            active_latent=None if means is None else count_active_dimensions(means),
        )
