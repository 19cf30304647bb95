"""Which scans a bundle may judge: what they are, how large, and how their intensities lie."""

import numpy as np
from pydantic import Field

from models.decoding.scan import DecodedScan
from models.specs import Spec

# Sizes up to this factor beyond those of the training cohort are accepted.
SIZE_MARGIN = 2.0


class StatisticsDomain(Spec):
    """Image statistics of healthy scans as a Gaussian (Ledoit and Wolf 2004).

    `mean` [7], `precision` [7][7]; a scan whose Mahalanobis distance exceeds `limit` does not look
    like a picture of this kind at all.
    """

    mean: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    limit: float = Field(gt=0.0)

    def measure(self, statistics: tuple[float, ...]) -> float:
        """Give the Mahalanobis distance of seven image statistics; infinite where not finite."""
        apart = np.asarray(statistics) - np.asarray(self.mean)
        if not np.isfinite(apart).all():
            return float("inf")
        squared = float(apart @ np.asarray(self.precision) @ apart)
        return float(np.sqrt(max(squared, 0.0)))


class Domain(Spec):
    """What the training cohort was made of.

    `accepts_unstated` says that training scans were files that name no modality, such as pictures,
    so that files that name none are accepted too. Sides are in original pixels.
    """

    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    accepts_unstated: bool
    accepts_color: bool
    shortest_side_px: int = Field(ge=1)
    longest_side_px: int = Field(ge=1)
    largest_aspect: float = Field(ge=1.0)
    statistics: StatisticsDomain

    def find_objection(self, scan: DecodedScan, statistics: tuple[float, ...]) -> str | None:
        """Say why the scan is outside the domain; None where it is inside.

        Args:
            scan: as decoded.
            statistics: seven image statistics of its normalized slices, averaged.
        """
        return (
            self._object_to_kind(scan)
            or self._object_to_size(scan)
            or self._object_to_intensities(statistics)
        )

    def _object_to_kind(self, scan: DecodedScan) -> str | None:
        if scan.modality is None and not self.accepts_unstated:
            return f"The file names no modality; the bundle knows {_list(self.modalities)}."
        if scan.modality is not None and scan.modality not in self.modalities:
            known = _list(self.modalities) or "pictures without a modality only"
            return f"Modality {scan.modality[:16]} is outside the bundle's domain: {known}."
        is_part_known = not scan.body_part or not self.body_parts
        if not is_part_known and scan.body_part not in self.body_parts:
            return f"The body part is outside the bundle's domain: {_list(self.body_parts)}."
        if scan.is_color and not self.accepts_color:
            return "The picture is in colour; the bundle was trained on grey scans."
        return None

    def _object_to_size(self, scan: DecodedScan) -> str | None:
        short, long = sorted(scan.pixels.shape[1:])
        smallest = self.shortest_side_px / SIZE_MARGIN
        if short < smallest:
            return f"The shorter side is {short} px; the bundle knows {self.shortest_side_px} up."
        if long > self.longest_side_px * SIZE_MARGIN:
            return f"The longer side is {long} px; the bundle knows up to {self.longest_side_px}."
        aspect = long / short
        if aspect > self.largest_aspect * SIZE_MARGIN:
            return f"The sides stand {aspect:.1f} to 1; the bundle knows {self.largest_aspect:.1f}."
        return None

    def _object_to_intensities(self, statistics: tuple[float, ...]) -> str | None:
        distance = self.statistics.measure(statistics)
        if distance > self.statistics.limit:
            return (
                f"The intensities are unlike those of any training scan (distance {distance:.1f}, "
                f"limit {self.statistics.limit:.1f})."
            )
        return None


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(words)
