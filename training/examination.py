"""Test split to scores: every scan walks the bundle's road once, and the baselines' beside it."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.decoding.limits import DecodeLimits
from models.detector import Detector, Finding
from models.errors import DecodeError
from models.networks.baselines import Baseline
from models.normalize import Frame
from models.pipeline import ScoredScan
from models.score import combine_slices
from models.verdict import decide
from training.baseline_scores import BaselineResult, measure_baselines
from training.cohort import CohortRow, CohortScan
from training.dataset import decode_cohort_scan, read_mask, read_scan_mask
from training.gallery import Gallery, Picture
from training.latents import LatentSample
from training.pixel_metrics import BLOCKS, PixelCounts
from training.units import Unit, UnitTable

BUNDLE = "bundle"


@dataclass(slots=True)
class Examination:
    """What walking the test split gives; grows by some numbers a scan, never by its pictures.

    `units` are the scans, or the slices where the cohort names series; `volumes` then the series.
    `pixels` holds the counts of the bundle's region map and of each baseline's map.
    """

    units: UnitTable
    volumes: UnitTable | None
    pixels: dict[str, PixelCounts]
    gallery: Gallery
    latents: LatentSample
    unread: Counter[str] = field(default_factory=Counter)
    unmasked_slices: int = 0
    scan_count: int = 0
    single_count: int = 0
    seconds: float = 0.0

    @property
    def usual_slice_count(self) -> int:
        """How many slices the usual unit has, as far as calibrations tell them apart: 1 or 2."""
        is_single = self.units.kind == "slice" or 2 * self.single_count >= self.scan_count
        return 1 if is_single else 2


class Examiner:
    """Walks scans down the road of one bundle and writes down what is found."""

    def __init__(
        self, detector: Detector, baselines: Mapping[str, Baseline], columns: Sequence[str]
    ) -> None:
        """Take what every scan meets.

        Args:
            detector: the bundle, loaded.
            baselines: fitted.
            columns: of the cohort, kept with each unit.
        """
        self._detector = detector
        self._baselines = baselines
        self._columns = columns
        self._limits = DecodeLimits()

    def examine(self, scans: Sequence[CohortScan], advance: Callable[[], None]) -> Examination:
        """Examine the scans of a split, one after the other.

        Args:
            scans: test scans.
            advance: called after each, for a progress bar.
        """
        has_series = any(row.series for scan in scans for row in scan.rows)
        has_masks = any(row.mask for scan in scans for row in scan.rows)
        result = Examination(
            units=UnitTable("slice" if has_series else "scan"),
            volumes=UnitTable("volume") if has_series else None,
            pixels={BUNDLE: PixelCounts(BLOCKS)} if has_masks else {},
            gallery=Gallery(),
            latents=LatentSample(),
        )
        for scan in scans:
            self._examine_scan(scan, result)
            advance()
        return result

    def _examine_scan(self, scan: CohortScan, result: Examination) -> None:
        started = time.perf_counter()
        try:
            decoded = decode_cohort_scan(scan, self._limits)
        except DecodeError as error:
            result.unread[error.code] += 1
            return
        finding = self._detector.examine([decoded])[0]
        result.seconds += time.perf_counter() - started
        result.scan_count += 1
        result.single_count += decoded.slice_count == 1
        if finding.scored is None:
            self._note_unscored(scan, finding, result)
            return
        spec = self._detector.pipeline.spec
        normalized = finding.scored.measured.normalized
        beside = measure_baselines(self._baselines, normalized, spec.region.error_map)
        units = self._build_units(scan, finding, finding.scored, beside, result)
        masks = self._read_masks(scan, decoded.pixels.shape)
        if result.pixels:
            self._count_pixels(scan, finding.scored, beside, masks, result)
        for index, unit in units:
            picture = _PictureBuilder(unit, finding.scored, index, masks[index])
            result.gallery.offer(unit, picture.build)
            result.latents.add(unit.label, finding.scored.measured, index)

    def _note_unscored(self, scan: CohortScan, finding: Finding, result: Examination) -> None:
        for row in scan.rows if result.units.kind == "slice" else scan.rows[:1]:
            result.units.add(self._refused_unit(row, scan, finding))
        if result.volumes is not None:
            result.volumes.add(self._refused_unit(scan.rows[0], scan, finding))

    def _refused_unit(self, row: CohortRow, scan: CohortScan, finding: Finding) -> Unit:
        verdict = finding.verdict
        label = row.label
        return Unit(scan.name, scan.patient, label, None, verdict.label, verdict.reason, {}, {})

    def _build_units(
        self,
        scan: CohortScan,
        finding: Finding,
        scored: ScoredScan,
        beside: Mapping[str, BaselineResult],
        result: Examination,
    ) -> list[tuple[int, Unit]]:
        """Add the units of one scan; gives those that count, each with the slice to show."""
        hottest = int(np.argmax(scored.slice_scores))
        whole = self._build_whole(scan, finding, scored, beside)
        if result.volumes is None:
            result.units.add(whole)
            return [(hottest, whole)]
        result.volumes.add(whole)
        units = [
            (index, self._build_slice(scan, row, index, scored, beside))
            for index, row in enumerate(scan.rows)
        ]
        for _, unit in units:
            result.units.add(unit)
        return units

    def _build_whole(
        self,
        scan: CohortScan,
        finding: Finding,
        scored: ScoredScan,
        beside: Mapping[str, BaselineResult],
    ) -> Unit:
        """Give the unit of a whole scan, its parts combined over slices as the score is."""
        spec = self._detector.pipeline.spec.score
        parts = {f"head {name}": combine_slices(v, spec) for name, v in scored.head_scores.items()}
        for name, result in beside.items():
            parts[f"baseline {name}"] = combine_slices(result.scores, spec)
        verdict = finding.verdict
        columns = self._pick(scan.rows[0])
        score, label, reason = scored.score, verdict.label, verdict.reason
        return Unit(scan.name, scan.patient, scan.label, score, label, reason, parts, columns)

    def _build_slice(
        self,
        scan: CohortScan,
        row: CohortRow,
        index: int,
        scored: ScoredScan,
        beside: Mapping[str, BaselineResult],
    ) -> Unit:
        """Give the unit of one slice, judged by the calibration of single slices."""
        bundle = self._detector.bundle
        measured = scored.measured
        objection = self._detector.find_objection(measured)
        score = float(scored.slice_scores[index])
        verdict = decide(score, bundle.calibrations.slice, reason=objection)
        parts = {f"head {name}": float(v[index]) for name, v in scored.head_scores.items()}
        for name, result in beside.items():
            parts[f"baseline {name}"] = float(result.scores[index])
        return Unit(
            name=f"{row.path.name}, row {row.number}",
            patient=scan.patient,
            label=row.label,
            score=score,
            verdict=verdict.label,
            reason=verdict.reason,
            parts=parts,
            columns=self._pick(row),
        )

    def _pick(self, row: CohortRow) -> dict[str, str]:
        return {name: row.columns[name] for name in self._columns if name in row.columns}

    def _read_masks(
        self, scan: CohortScan, shape: tuple[int, ...]
    ) -> list[NDArray[np.bool_] | None]:
        """Give the mask of each slice, bool [H, W], original pixels; None where unknown."""
        if len(scan.rows) > 1:
            return [read_mask(row, shape[1:], self._limits) for row in scan.rows]
        volume = read_scan_mask(scan, (shape[0], shape[1], shape[2]), self._limits)
        return [None] * shape[0] if volume is None else list(volume)

    def _count_pixels(
        self,
        scan: CohortScan,
        scored: ScoredScan,
        beside: Mapping[str, BaselineResult],
        masks: Sequence[NDArray[np.bool_] | None],
        result: Examination,
    ) -> None:
        frame = scored.measured.normalized.frame
        maps = {BUNDLE: scored.region_map.numpy()}
        for name, each in beside.items():
            if each.error_map is not None:
                maps[name] = each.error_map.numpy()
                result.pixels.setdefault(name, PixelCounts(1))
        for index, mask in enumerate(masks):
            row = scan.rows[min(index, len(scan.rows) - 1)]
            if mask is None:
                result.unmasked_slices += 1
                continue
            small = None if row.is_healthy else shrink_mask(mask, frame)
            for name, values in maps.items():
                result.pixels[name].add(scan.patient, cut_picture(values[index, 0], frame), small)


def shrink_mask(mask: NDArray[np.bool_], frame: Frame) -> NDArray[np.bool_]:
    """Bring a mask to the network's grid, each pixel that of the original at its centre.

    Args:
        mask: bool [H, W], original pixels; True is abnormal.
        frame: of the scan.

    Returns:
        bool [height, width], the picture's part of the tensor.
    """
    rows = np.zeros((frame.height, 2))
    rows[:, 0] = np.arange(frame.height) + frame.top
    columns = np.zeros((frame.width, 2))
    columns[:, 1] = np.arange(frame.width) + frame.left
    row_index = _nearest(frame.to_original(rows)[:, 0], frame.rows)
    column_index = _nearest(frame.to_original(columns)[:, 1], frame.columns)
    return mask[row_index[:, None], column_index]


def cut_picture(values: NDArray[np.float32], frame: Frame) -> NDArray[np.float32]:
    """Cut the padding off a map on the network's grid: float32 [height, width], same unit."""
    inner: NDArray[np.float32] = values[
        frame.top : frame.top + frame.height, frame.left : frame.left + frame.width
    ]
    return inner


def _nearest(centres: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    return np.clip(np.floor(centres + 0.5), 0, count - 1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _PictureBuilder:
    """Builds the picture of a unit when, and only when, the gallery wants it."""

    unit: Unit
    scored: ScoredScan
    index: int
    mask: NDArray[np.bool_] | None

    def build(self) -> Picture:
        """Restore the slice, its reconstruction and its error map to original pixels."""
        measured = self.scored.measured
        return Picture(
            name=self.unit.name,
            label=self.unit.label,
            score=self.unit.score or 0.0,
            pixels=measured.scan.pixels[self.index].copy(),
            reconstruction=self.scored.restore_reconstruction()[self.index].copy(),
            error_map=self.scored.restore_error_map()[self.index].copy(),
            mask=self.mask,
            window=measured.normalized.window,
        )
