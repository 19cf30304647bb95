"""Error maps and masks to pixel metrics, in memory that does not grow with the number of scans.

Each map is binned as it passes. A bin holds the values that share sign, exponent and the first
eight bits of the mantissa of their float32, so it is at most 1/256 of its value wide wherever the
scale lies, needs no look at the data beforehand, and keeps the order. Values within a bin count as
equal, which moves the metrics by less than one in a thousand (tests/training/test_pixel_metrics).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.bootstrap import draw_patients, find_interval
from training.metrics import (
    Floats,
    ScoreCounts,
    compute_average_precision,
    compute_best_dice,
    compute_roc,
)

MANTISSA_BITS = 8
LOWEST_EXPONENT, HIGHEST_EXPONENT = -16, 15
BIN_WIDTH_SHARE = 2.0**-MANTISSA_BITS
BINS_A_SIDE = (HIGHEST_EXPONENT - LOWEST_EXPONENT + 1) << MANTISSA_BITS
BINS = 2 * BINS_A_SIDE + 1
BLOCKS = 128
FALSE_ALARM_LIMIT = 0.3
RESAMPLED_ROWS = 32


def bin_values(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Put each value in its bin; a higher value never lands in a lower bin.

    Args:
        values: float32 of any shape, finite; magnitudes outside 2**-16..2**16 fall in the end bins.
    """
    bits = np.abs(values).astype(np.float32).view(np.int32).astype(np.int64)
    origin = (LOWEST_EXPONENT + 127) << MANTISSA_BITS
    magnitude: NDArray[np.int64] = np.clip(
        (bits >> (23 - MANTISSA_BITS)) - origin + 1, 0, BINS_A_SIDE
    )
    np.negative(magnitude, out=magnitude, where=np.signbit(values))
    return magnitude + np.int64(BINS_A_SIDE)


@dataclass(slots=True)
class _Block:
    """Counts of one patient, or of the patients that share a block; float64 [BINS] each."""

    mask: Floats = field(default_factory=lambda: np.zeros(BINS))
    rest_of_abnormal: Floats = field(default_factory=lambda: np.zeros(BINS))
    healthy: Floats = field(default_factory=lambda: np.zeros(BINS))
    region_share: Floats = field(default_factory=lambda: np.zeros(BINS))
    regions: int = 0


class PixelCounts:
    """Counts of pixels by patient, from which pixel metrics and their intervals are computed.

    Up to `blocks` patients have a block each; further ones share blocks. Blocks are what is
    resampled: sums over many patients, drawn again, vary as the patients would.
    """

    def __init__(self, blocks: int) -> None:
        self._blocks_at_most = blocks
        self._blocks: dict[tuple[bool, int], _Block] = {}
        self._block_of_patient: dict[str, tuple[bool, int]] = {}
        self.slice_count = 0
        self.masked_slice_count = 0
        self._hits = 0
        self._clean = 0

    def add(
        self, patient: str, values: NDArray[np.float32], mask: NDArray[np.bool_] | None
    ) -> None:
        """Count the pixels of one slice.

        Args:
            patient: whose slice it is.
            values: float32 [H, W], any scale, higher is stranger.
            mask: bool [H, W]; True is abnormal; None for a healthy slice.

        Raises:
            ValueError: the two differ in shape, or a value is not finite.
        """
        if mask is not None and mask.shape != values.shape:
            raise ValueError(f"mask {mask.shape} and error map {values.shape} differ in shape")
        if not np.isfinite(values).all():
            raise ValueError("every value of an error map must be a finite number")
        block = self._find_block(patient, is_abnormal=mask is not None)
        bins = bin_values(values)
        self.slice_count += 1
        if mask is None:
            block.healthy += np.bincount(bins.ravel(), minlength=BINS)
            self._clean += bool(values.max() <= 1.0)
            return
        self.masked_slice_count += 1
        self._hits += bool(mask.flat[values.argmax()])
        block.mask += np.bincount(bins[mask], minlength=BINS)
        block.rest_of_abnormal += np.bincount(bins[~mask], minlength=BINS)
        _add_regions(block, bins, mask)

    def compute(self) -> dict[str, float]:
        """Give the pixel metrics of all slices under the names of the evaluation's JSON."""
        metrics = self._compute_under(np.ones((1, len(self._blocks))), self._stack())
        return {name: float(values[0]) for name, values in metrics.items()}

    @property
    def hottest_inside_share(self) -> float | None:
        """Share of the abnormal slices whose hottest point lies in the mask; None without any."""
        return self._hits / self.masked_slice_count if self.masked_slice_count else None

    @property
    def clean_share(self) -> float | None:
        """Share of the healthy slices without a value over 1, the pixel threshold of a region map.

        None without any.
        """
        healthy = self.slice_count - self.masked_slice_count
        return self._clean / healthy if healthy else None

    def compute_curve(self) -> ScoreCounts:
        """Give the pooled counts of all slices, the highest bin first, to draw curves from."""
        stacked = self._stack()
        return ScoreCounts(stacked[0].sum(0), stacked[1].sum(0) + stacked[2].sum(0))

    def bootstrap(
        self, resamples: int, generator: np.random.Generator
    ) -> dict[str, tuple[float, float]]:
        """Give the 95 % interval of each pixel metric over resampled patients."""
        has_mask = np.array([key[0] for key in self._blocks], dtype=bool)
        strata = [
            found for kind in (True, False) if (found := np.flatnonzero(has_mask == kind)).size
        ]
        stacked = self._stack()
        rows = []
        for start in range(0, resamples, RESAMPLED_ROWS):
            count = min(RESAMPLED_ROWS, resamples - start)
            rows.append(self._compute_under(draw_patients(strata, count, generator), stacked))
        return {
            name: find_interval(np.concatenate([row[name] for row in rows])) for name in rows[0]
        }

    def _find_block(self, patient: str, *, is_abnormal: bool) -> _Block:
        key = self._block_of_patient.get(patient)
        if key is None or (is_abnormal and not key[0]):
            key = self._place_patient(patient, key, is_abnormal=is_abnormal)
        return self._blocks[key]

    def _place_patient(
        self, patient: str, before: tuple[bool, int] | None, *, is_abnormal: bool
    ) -> tuple[bool, int]:
        """Give a patient a block; one whose first mask arrives late takes the block along."""
        if before is not None and len(self._block_of_patient) <= self._blocks_at_most:
            key = (is_abnormal, before[1])
            self._blocks[key] = self._blocks.pop(before)
        else:
            key = (is_abnormal, len(self._block_of_patient) % self._blocks_at_most)
            self._blocks.setdefault(key, _Block())
        self._block_of_patient[patient] = key
        return key

    def _compute_under(
        self, weights: Floats, stacked: tuple[Floats, Floats, Floats, Floats]
    ) -> dict[str, Floats]:
        mask, rest, healthy, shares = (weights @ part for part in stacked)
        regions = weights @ np.array(
            [block.regions for block in self._blocks.values()], dtype=float
        )
        pooled = ScoreCounts(mask, rest + healthy)
        return {
            "ap": compute_average_precision(pooled),
            "ap_abnormal": compute_average_precision(ScoreCounts(mask, rest)),
            "best_dice": compute_best_dice(pooled),
            "aupro": compute_aupro(shares, regions, pooled),
        }

    def _stack(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Put all blocks under each other: four float64 [blocks, used bins], highest bin first."""
        blocks = list(self._blocks.values())
        totals = sum(block.mask + block.rest_of_abnormal + block.healthy for block in blocks)
        used = np.flatnonzero(totals)[::-1]
        return (
            np.stack([block.mask[used] for block in blocks]),
            np.stack([block.rest_of_abnormal[used] for block in blocks]),
            np.stack([block.healthy[used] for block in blocks]),
            np.stack([block.region_share[used] for block in blocks]),
        )


def compute_aupro(shares: Floats, regions: Floats, pooled: ScoreCounts) -> Floats:
    """Give the area under the per-region overlap up to 30 % false alarms (Bergmann et al. 2020).

    Args:
        shares: float64 [..., G], the share of each region's pixels at each value, summed over
            regions, the highest value first.
        regions: float64 [...], how many regions.
        pooled: counts of pixels inside and outside the masks, same order.

    Returns:
        float64 [...], 0..1, the mean overlap over the limit; NaN without regions.
    """
    _, false_alarm = compute_roc(pooled)
    overlap = np.cumsum(shares, axis=-1)
    flat_overlap = overlap.reshape(-1, overlap.shape[-1])
    flat_alarm = false_alarm.reshape(flat_overlap.shape)
    areas = [
        _integrate_to_limit(alarm, row) / FALSE_ALARM_LIMIT
        for alarm, row in zip(flat_alarm, flat_overlap, strict=True)
    ]
    count = np.where(regions > 0, regions, np.nan)
    return np.asarray(areas).reshape(regions.shape) / count


def _integrate_to_limit(false_alarm: Floats, overlap: Floats) -> float:
    x = np.concatenate([[0.0], false_alarm])
    y = np.concatenate([[0.0], overlap])
    inside = x <= FALSE_ALARM_LIMIT
    edge = np.interp(FALSE_ALARM_LIMIT, x, y)
    return float(np.trapezoid(np.append(y[inside], edge), np.append(x[inside], FALSE_ALARM_LIMIT)))


def _add_regions(block: _Block, bins: NDArray[np.int64], mask: NDArray[np.bool_]) -> None:
    """Count each connected region of the mask (8 neighbours) as one, whatever its size."""
    regions, count = ndimage.label(mask, structure=np.ones((3, 3)))
    for number in range(1, count + 1):
        inside = bins[regions == number]
        block.region_share += np.bincount(inside, minlength=BINS) / inside.size
    block.regions += count
