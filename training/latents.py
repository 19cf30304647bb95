"""The latent space and the prior of a network: where scans lie, and whether samples are copies."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.networks.reconstruction import Network
from models.networks.variational import ACTIVE_VARIANCE, VariationalAutoencoder
from models.pipeline import MeasuredScan
from models.reconstruct import reconstruct
from training.baseline_scores import HealthySlices

KEPT_A_LABEL = 400
HEALTHY_IMAGES = 64
SAMPLES = 64


@dataclass(slots=True)
class LatentSample:
    """Latent means of the first units of each label, and some healthy images; bounded in memory.

    `means`: float32 [Z] each, none for a network without a latent.
    """

    labels: list[str] = field(default_factory=list)
    means: list[NDArray[np.float32]] = field(default_factory=list)
    _counts: dict[str, int] = field(default_factory=dict)

    def add(self, label: str, measured: MeasuredScan, index: int) -> None:
        """Take the latent of one slice, while there is room for its label."""
        latent = measured.reconstruction.latent_mean
        if latent is None or self._counts.get(label, 0) >= KEPT_A_LABEL:
            return
        self._counts[label] = self._counts.get(label, 0) + 1
        self.labels.append(label)
        self.means.append(latent[index].numpy().copy())

    def count_active(self) -> int | None:
        """Count the dimensions whose mean varies between scans (Burda et al. 2016); None: none."""
        if not self.means:
            return None
        return int((np.stack(self.means).var(axis=0) > ACTIVE_VARIANCE).sum())

    def project(self) -> NDArray[np.float64]:
        """Project on the two principal components: float64 [N, 2], unit of the latent."""
        centred = np.stack(self.means).astype(np.float64)
        centred -= centred.mean(axis=0)
        _, _, directions = np.linalg.svd(centred, full_matrices=False)
        projected = np.zeros((len(centred), 2))
        count = min(2, len(directions))
        projected[:, :count] = centred @ directions[:count].T
        return projected


@dataclass(frozen=True, slots=True)
class PriorSamples:
    """Samples from the prior, each with the healthy training slice it is nearest to.

    `images`, `nearest`: float32 [N, 1, H, W], 0..1. Distances are root mean squares over pixels,
    0..1: of samples, of healthy slices to those of other patients, and of the reconstructions of
    healthy slices to slices of other patients (as smooth as samples are, so the fair comparison).
    """

    images: Tensor
    nearest: Tensor
    distances: NDArray[np.float64]
    healthy_distances: NDArray[np.float64]
    redrawn_distances: NDArray[np.float64]


def draw_prior_samples(
    network: Network, healthy: HealthySlices, generator: torch.Generator
) -> PriorSamples | None:
    """Draw from the prior and look for copies of training slices; None for other networks.

    Args:
        network: in evaluation mode.
        healthy: of the fit fold.
        generator: on the CPU.
    """
    others = len(set(healthy.patients)) > 1
    if not isinstance(network, VariationalAutoencoder) or not others:
        return None
    with torch.inference_mode():
        images = network.sample(SAMPLES, generator).float().cpu()
    distances, places = _find_nearest(images, healthy, [""] * len(images))
    some = healthy.image[:HEALTHY_IMAGES]
    patients = list(healthy.patients[:HEALTHY_IMAGES])
    redrawn = reconstruct(network, some).image
    return PriorSamples(
        images=images,
        nearest=healthy.image[places],
        distances=distances,
        healthy_distances=_find_nearest(some, healthy, patients)[0],
        redrawn_distances=_find_nearest(redrawn, healthy, patients)[0],
    )


def _find_nearest(
    images: Tensor, healthy: HealthySlices, patients: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the nearest healthy slice of another patient: distance float64 [N], place int64 [N]."""
    flat = healthy.image.flatten(1)
    apart = torch.cdist(images.flatten(1), flat) / flat.shape[1] ** 0.5
    is_same = torch.tensor([[own == other for other in healthy.patients] for own in patients])
    nearest = torch.where(is_same, torch.inf, apart).min(dim=1)
    return nearest.values.double().numpy(), nearest.indices.numpy()
