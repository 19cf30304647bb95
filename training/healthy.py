"""Fusion fold to healthy statistics: the scale of each head, of each pixel, and of the regions."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.decoding.limits import DecodeLimits
from models.error_map import ErrorMap, HealthyPixels, blur, build_error_map
from models.errors import DecodeError, TrainingError, UnscorableScan
from models.pipeline import (
    HealthyStatistics,
    MeasuredScan,
    PreparedScan,
    ScoringPipeline,
    list_error_maps,
    name_error_map,
)
from models.reconstruct import reconstruct
from models.score import MINIMUM_SCALE_SCORES, HeadScale
from models.specs import ErrorMapSpec
from training.cohort import CohortScan
from training.dataset import decode_cohort_scan

# Scans are measured in batches of about so many slices.
BATCH_SLICES = 16
# The pixel threshold is a quantile of so many pixels of each slice, drawn at random.
PIXELS_PER_SLICE = 4096
# Few patients leave a rough picture of the healthy error; it is smoothed by this share of the side.
PIXEL_BLUR_SHARE = 0.02

Advance = Callable[[CohortScan], None]


def prepare_fold(
    pipeline: ScoringPipeline, scans: Iterable[CohortScan], advance: Advance
) -> Iterator[list[tuple[CohortScan, PreparedScan]]]:
    """Decode and normalize the scans of a fold, in batches; unreadable ones are left out."""
    batch: list[tuple[CohortScan, PreparedScan]] = []
    slices = 0
    limits = DecodeLimits()
    for scan in scans:
        try:
            batch.append((scan, pipeline.prepare(decode_cohort_scan(scan, limits))))
        except (DecodeError, UnscorableScan):
            continue
        finally:
            advance(scan)
        slices += batch[-1][1].scan.slice_count
        if slices >= BATCH_SLICES:
            yield batch
            batch, slices = [], 0
    if batch:
        yield batch


def measure_fold(
    pipeline: ScoringPipeline, scans: Iterable[CohortScan], advance: Advance
) -> Iterator[tuple[CohortScan, MeasuredScan]]:
    """Measure the scans of a fold; unreadable ones are left out."""
    for batch in prepare_fold(pipeline, scans, advance):
        measured = pipeline.measure([prepared for _, prepared in batch])
        yield from zip((scan for scan, _ in batch), measured, strict=True)


def learn_healthy(
    pipeline: ScoringPipeline,
    scans: Sequence[CohortScan],
    generator: np.random.Generator,
    advance: Advance,
) -> HealthyStatistics:
    """Learn what healthy scans score, from scans that the network was not fitted on.

    Args:
        pipeline: without healthy statistics; its network is fitted.
        scans: the fusion fold.
        generator: draws the pixels that the pixel threshold is taken from.
        advance: called once a scan, for a progress bar.

    Raises:
        TrainingError: too few slices can be measured.
    """
    pixels = _learn_pixels(pipeline, scans, advance)
    without_scales = HealthyStatistics(
        scales={}, pixels=pixels, pixel_threshold=1.0, appearance=None
    )
    measuring = ScoringPipeline(pipeline.spec, pipeline.network, without_scales, pipeline.features)
    pooled: dict[str, list[float]] = {head.name: [] for head in pipeline.spec.score.heads}
    drawn = []
    for _, measured in measure_fold(measuring, scans, advance):
        for name, values in measured.pooled.items():
            pooled[name].extend(values.tolist())
        drawn.append(_draw_pixels(measured.region_map, generator))
    count = len(next(iter(pooled.values())))
    if count < MINIMUM_SCALE_SCORES or not sum(len(values) for values in drawn):
        raise TrainingError(
            f"the fusion fold gives {count} healthy slices, expected {MINIMUM_SCALE_SCORES}"
        )
    quantile = pipeline.spec.region.pixel_quantile
    threshold = float(np.quantile(np.concatenate(drawn), quantile))
    return HealthyStatistics(
        scales={name: HeadScale(np.sort(values)) for name, values in pooled.items()},
        pixels=pixels,
        pixel_threshold=max(threshold, float(np.finfo(np.float32).tiny)),
        appearance=None,
    )


def _learn_pixels(
    pipeline: ScoringPipeline, scans: Sequence[CohortScan], advance: Advance
) -> dict[str, HealthyPixels]:
    """Learn the mean and the spread of each pixel's error, for the error maps that ask for it."""
    wanted = [each for each in list_error_maps(pipeline.spec) if each.is_normalized]
    if not wanted:
        return {}
    side = pipeline.spec.normalize.size_px
    sums = {spec: torch.zeros(3, side, side, dtype=torch.float64) for spec in wanted}
    for batch in prepare_fold(pipeline, scans, advance):
        for _, prepared in batch:
            for spec in wanted:
                sums[spec] += _sum_errors(pipeline, prepared, spec)
    return {name_error_map(spec): _summarize(sums[spec], side) for spec in wanted}


def _sum_errors(pipeline: ScoringPipeline, prepared: PreparedScan, spec: ErrorMapSpec) -> Tensor:
    """Give float64 [3, H, W]: slices with a body there, sum of errors, sum of squared errors."""
    drawn = reconstruct(pipeline.network, prepared.normalized.image)
    bare = spec.model_copy(update={"is_normalized": False})
    error_map = build_error_map(prepared.normalized, drawn, bare, None, pipeline.features)
    values = error_map.values.double()
    inside = error_map.foreground.double()
    return torch.stack([inside.sum(0)[0], values.sum(0)[0], values.square().sum(0)[0]])


def _summarize(sums: Tensor, side: int) -> HealthyPixels:
    """Turn sums [3, H, W] into smooth statistics; where no body ever was, take the average."""
    count, total, squares = sums
    everywhere = sums.sum(dim=(1, 2))
    few = 2
    seen = count >= few
    mean = torch.where(seen, total / count.clamp_min(1), everywhere[1] / everywhere[0].clamp_min(1))
    average_square = everywhere[2] / everywhere[0].clamp_min(1)
    square = torch.where(seen, squares / count.clamp_min(1), average_square)
    deviation = (square - mean.square()).clamp_min(0.0).sqrt()
    sigma_px = PIXEL_BLUR_SHARE * side
    return HealthyPixels(
        mean=blur(mean.float()[None, None], sigma_px),
        deviation=blur(deviation.float()[None, None], sigma_px),
    )


def _draw_pixels(region_map: ErrorMap, generator: np.random.Generator) -> NDArray[np.float32]:
    """Draw foreground pixels of each slice: float32 [N], unit of the region map."""
    drawn = []
    for values, inside in zip(region_map.values, region_map.foreground, strict=True):
        body = values[inside].numpy()
        if len(body) > PIXELS_PER_SLICE:
            body = body[generator.integers(len(body), size=PIXELS_PER_SLICE)]
        drawn.append(body)
    return np.concatenate(drawn)
