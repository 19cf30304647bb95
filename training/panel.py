"""Healthy validation slices to a panel of synthetic anomalies: what detectors are compared by.

The panel is drawn once. Every network and every choice of heads then meets the same slices with the
same anomalies, so that differences between them are differences of the detectors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from models.error_map import HealthyPixels, build_error_maps
from models.networks.reconstruction import Network, Reconstruction
from models.normalize import Frame, NormalizedScan
from models.reconstruct import reconstruct
from models.score import MINIMUM_SCALE_SCORES, HeadScale, Scores, combine_heads, pool_error_map
from models.specs import ErrorMapSpec, HeadSpec, ScoreSpec
from training.anomalies import ANOMALIES, Batch, insert_anomaly
from training.feed import Slices, read_slices
from training.randomness import make_generator

# Slices of one kind under which an AUROC says nothing.
MINIMUM_OF_A_KIND = 2

Separations = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PanelSize:
    """How many slices take part, and how many of the kinds each gets, dealt in turn."""

    slices: int
    kinds_per_slice: int


class Panel:
    """Healthy slices, and the same with an anomaly of each kind."""

    def __init__(
        self, slices: Slices, size: PanelSize, seed: int, features: nn.Module | None
    ) -> None:
        """Draw the slices and their anomalies, once.

        Args:
            slices: of healthy validation scans; some of them are used.
            size: how many, and how often.
            seed: of the run.
            features: frozen network of the perceptual distance, where a head asks for it.
        """
        order = torch.randperm(len(slices), generator=make_generator(seed, "examined", 0))
        image, foreground = read_slices(slices, order[: size.slices].tolist())
        has_body = foreground.flatten(1).any(1)
        self._features = features
        self.healthy = Batch(image[has_body], foreground[has_body])
        self._altered = _alter(self.healthy, size.kinds_per_slice, seed)

    def separate(self, network: Network, spec: ScoreSpec) -> Separations:
        """Give the AUROC of each kind against the healthy slices, by these heads.

        Nothing where there are too few slices.
        """
        return self.separate_all(network, (spec,))[0]

    def separate_all(self, network: Network, specs: Sequence[ScoreSpec]) -> list[Separations]:
        """Give the same for several choices of heads; each slice is redrawn once."""
        altered = {
            kind: batch
            for kind, batch in self._altered.items()
            if len(batch.image) >= MINIMUM_OF_A_KIND
        }
        if len(self.healthy.image) < MINIMUM_SCALE_SCORES or not altered:
            return [{} for _ in specs]
        heads = dict.fromkeys(_bare(head) for spec in specs for head in spec.heads)
        pooling = _Pooling(tuple(heads), self._features)
        healthy = pooling.pool(network, self.healthy)
        pooled = {kind: pooling.pool(network, batch) for kind, batch in altered.items()}
        return [_separate(spec, healthy, pooled) for spec in specs]


def compute_separation(typical: Scores, altered: Scores) -> float:
    """Give the AUROC between two sets of scores: 1 where every altered one is higher."""
    truth = np.repeat([0, 1], [len(typical), len(altered)])
    return float(roc_auc_score(truth, np.concatenate([typical, altered])))


def average(separations: Separations) -> float | None:
    """Give the mean over the kinds; None where there are none."""
    return float(np.mean(list(separations.values()))) if separations else None


@dataclass(slots=True)
class _Pooling:
    """Slices to the values of the heads.

    `known`: healthy statistics of the normalized error maps, from the first batch, which is
    healthy.
    """

    heads: tuple[HeadSpec, ...]
    features: nn.Module | None
    known: dict[ErrorMapSpec, HealthyPixels] = field(default_factory=dict)

    def pool(self, network: Network, batch: Batch) -> dict[HeadSpec, Scores]:
        """Value of each head for each slice: float64 [B]."""
        scan = _as_scan(batch)
        redrawn = reconstruct(network, batch.image)
        asked = dict.fromkeys(head.error_map for head in self.heads)
        wanted = {each: self._find(scan, redrawn, each) for each in asked}
        maps = build_error_maps(scan, redrawn, wanted, self.features)
        return {head: pool_error_map(maps[head.error_map], head) for head in self.heads}

    def _find(
        self, scan: NormalizedScan, redrawn: Reconstruction, spec: ErrorMapSpec
    ) -> HealthyPixels | None:
        if not spec.is_normalized:
            return None
        if spec not in self.known:
            bare = spec.model_copy(update={"is_normalized": False})
            values = build_error_maps(scan, redrawn, {bare: None}, self.features)[bare].values
            self.known[spec] = HealthyPixels(
                values.mean(0, keepdim=True), values.std(0, keepdim=True)
            )
        return self.known[spec]


def _separate(
    spec: ScoreSpec,
    healthy: Mapping[HeadSpec, Scores],
    altered: Mapping[str, Mapping[HeadSpec, Scores]],
) -> Separations:
    bare = {head.name: _bare(head) for head in spec.heads}
    scales = {name: HeadScale(np.sort(healthy[head])) for name, head in bare.items()}

    def combine(pooled: Mapping[HeadSpec, Scores]) -> Scores:
        named = {name: pooled[head] for name, head in bare.items()}
        return combine_heads(named, scales, spec)

    typical = combine(healthy)
    return {kind: compute_separation(typical, combine(each)) for kind, each in altered.items()}


def _bare(head: HeadSpec) -> HeadSpec:
    """Give the head without what does not change its value."""
    return head.model_copy(update={"name": "bare", "weight": 1.0})


def _alter(healthy: Batch, kinds_per_slice: int, seed: int) -> dict[str, Batch]:
    """Deal the kinds to the slices in turn, and insert them."""
    altered = {}
    places = torch.arange(len(healthy.image))
    stride = max(1, len(ANOMALIES) // kinds_per_slice)
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
