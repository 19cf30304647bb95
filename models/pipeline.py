"""The road chained once: decoded scans to scores, error maps and regions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.appearance import Appearance, Look
from models.decoding.scan import DecodedScan
from models.error_map import ErrorMap, HealthyPixels, build_error_maps
from models.networks.descriptor import compute_descriptor
from models.networks.reconstruction import Network, Reconstruction
from models.networks.statistics import compute_image_statistics
from models.normalize import NormalizedScan, normalize_scan
from models.reconstruct import reconstruct
from models.regions import Region, find_regions
from models.score import HeadScale, Scores, combine_heads, combine_slices, pool_error_map
from models.specs import ErrorMapSpec, PipelineSpec


@dataclass(frozen=True, slots=True)
class HealthyStatistics:
    """What held-out healthy scans taught.

    `scales`: per head, its healthy scores. `pixels`: per error map that asks for it, the error of
    each pixel. `pixel_threshold`: value of the region map that `pixel_quantile` of the healthy
    pixels stay under. `appearance`: how healthy slices look; None while it is being learnt and in
    bundles of the first format.
    """

    scales: Mapping[str, HeadScale]
    pixels: Mapping[str, HealthyPixels]
    pixel_threshold: float
    appearance: Appearance | None


@dataclass(frozen=True, slots=True)
class PreparedScan:
    """A scan beside what the network will be shown of it."""

    scan: DecodedScan
    normalized: NormalizedScan


@dataclass(frozen=True, slots=True)
class MeasuredScan:
    """A scan, its reconstruction and the pooled value of each head, before any healthy scale.

    `pooled`: per head, float64 [S], unit of the head. `statistics`: seven image statistics,
    averaged over the slices. `region_map`: unit of its distance, tensor pixels. `look`: how
    they look beside healthy ones, where that was learnt. `has_body`: whether each head has a pixel
    to look at in some slice, once it has taken the border off the body.
    """

    scan: DecodedScan
    normalized: NormalizedScan
    reconstruction: Reconstruction
    pooled: Mapping[str, Scores]
    region_map: ErrorMap
    statistics: tuple[float, ...]
    look: Look | None
    has_body: bool


@dataclass(frozen=True, slots=True)
class ScoredScan:
    """What the road gives for one scan.

    `score` and `slice_scores` are Gaussian quantiles among healthy scans; `head_scores` the same
    for each head alone, float64 [S]. `region_map`: float32 [S, 1, H, W], >= 0, multiples of the
    pixel threshold, tensor pixels.
    """

    measured: MeasuredScan
    score: float
    slice_scores: Scores
    head_scores: Mapping[str, Scores]
    region_map: Tensor
    regions: tuple[Region, ...]

    def restore_error_map(self) -> NDArray[np.float32]:
        """Give the region map as float32 [S, H, W], multiples of the threshold, original pixels."""
        return self.measured.normalized.frame.restore_map(self.region_map)

    def restore_reconstruction(self) -> NDArray[np.float32]:
        """Give the reconstruction as float32 [S, H, W], real units, original pixels."""
        normalized = self.measured.normalized
        low, high = normalized.window
        image = normalized.frame.restore_map(self.measured.reconstruction.image)
        return image * np.float32(high - low) + np.float32(low)


class ScoringPipeline:
    """Normalize, reconstruct, measure, score: one network on one device and its healthy scale."""

    def __init__(
        self,
        spec: PipelineSpec,
        network: Network,
        healthy: HealthyStatistics | None,
        features: nn.Module | None,
    ) -> None:
        """Take what the bundle holds.

        Args:
            spec: every stage.
            network: on its device; is put in evaluation mode.
            healthy: None while they are still being learnt; then scans can be measured only.
            features: frozen network of the perceptual distance, where a head asks for it.
        """
        self.spec = spec
        # One memory layout wherever a pipeline is made: another sums in another order.
        self.network = network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in the stubs
        self.healthy = healthy
        self.features = features
        pixels = healthy.pixels if healthy else {}
        self._wanted = {each: pixels.get(name_error_map(each)) for each in list_error_maps(spec)}

    def score_scans(self, scans: Sequence[DecodedScan]) -> list[ScoredScan]:
        """Score scans in one batch.

        Raises:
            UnscorableScan: one of them cannot be looked at; prepare them one by one to know which.
        """
        prepared = [self.prepare(scan) for scan in scans]
        return [self.score_measured(measured) for measured in self.measure(prepared)]

    def prepare(self, scan: DecodedScan) -> PreparedScan:
        """Normalize one scan.

        Raises:
            UnscorableScan: the scan cannot be looked at.
        """
        return PreparedScan(scan, normalize_scan(scan, self.spec.normalize))

    def measure(self, prepared: Sequence[PreparedScan]) -> list[MeasuredScan]:
        """Reconstruct scans in one batch, and pool their error maps."""
        images = [each.normalized.image for each in prepared]
        drawn = reconstruct(self.network, torch.cat(images))
        measured = []
        first = 0
        for each in prepared:
            last = first + each.scan.slice_count
            measured.append(self._measure(each.scan, each.normalized, _cut(drawn, first, last)))
            first = last
        return measured

    def score_measured(self, measured: MeasuredScan) -> ScoredScan:
        """Put a measured scan on the healthy scale and find its regions."""
        if self.healthy is None:
            raise ValueError("the pipeline has no healthy statistics yet")
        scales = self.healthy.scales
        slice_scores = combine_heads(measured.pooled, scales, self.spec.score)
        region_map = measured.region_map.values / self.healthy.pixel_threshold
        error_map = measured.normalized.frame.restore_map(region_map)
        return ScoredScan(
            measured=measured,
            score=combine_slices(slice_scores, self.spec.score),
            slice_scores=slice_scores,
            head_scores={
                name: scales[name].place(values) for name, values in measured.pooled.items()
            },
            region_map=region_map,
            regions=find_regions(error_map, measured.scan.spacing_mm, self.spec.region),
        )

    def _measure(
        self, scan: DecodedScan, normalized: NormalizedScan, drawn: Reconstruction
    ) -> MeasuredScan:
        maps = build_error_maps(normalized, drawn, self._wanted, self.features)
        pooled = {
            head.name: pool_error_map(maps[head.error_map], head) for head in self.spec.score.heads
        }
        statistics = compute_image_statistics(normalized.image, normalized.foreground)
        appearance = self.healthy.appearance if self.healthy else None
        return MeasuredScan(
            scan=scan,
            normalized=normalized,
            reconstruction=drawn,
            pooled=pooled,
            region_map=maps[self.spec.region.error_map],
            statistics=tuple(float(value) for value in statistics.double().mean(dim=0)),
            look=None if appearance is None else describe_look(appearance, normalized.image),
            has_body=all(
                bool(maps[head.error_map].foreground.any()) for head in self.spec.score.heads
            ),
        )


def describe_look(appearance: Appearance, image: Tensor) -> Look:
    """Say how slices look beside healthy ones: float32 [S, 1, H, W], 0..1."""
    return appearance.look(compute_descriptor(image).numpy())


def list_error_maps(spec: PipelineSpec) -> tuple[ErrorMapSpec, ...]:
    """Give every error map that the heads and the regions ask for, each once."""
    asked = [*(head.error_map for head in spec.score.heads), spec.region.error_map]
    return tuple(dict.fromkeys(asked))


def name_error_map(spec: ErrorMapSpec) -> str:
    """Give the name under which the healthy pixels of an error map are kept."""
    return spec.model_dump_json()


def _cut(drawn: Reconstruction, first: int, last: int) -> Reconstruction:
    """Give the slices of one scan out of a batch."""

    def take(values: Tensor | None) -> Tensor | None:
        return None if values is None else values[first:last]

    return Reconstruction(
        image=drawn.image[first:last],
        log_variance=take(drawn.log_variance),
        latent_mean=take(drawn.latent_mean),
        latent_log_variance=take(drawn.latent_log_variance),
    )
