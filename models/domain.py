"""Which scans a bundle may judge: what they are, how large, how they look."""

from typing import Literal

import numpy as np
from pydantic import Field

from models.appearance import Look
from models.decoding.scan import DecodedScan
from models.specs import Spec

# What may have happened to a picture, and how it is told.
CHANGES = {
    "turned_left": "turned by 90 degrees to the left",
    "upside_down": "turned by 180 degrees",
    "turned_right": "turned by 90 degrees to the right",
    "flipped": "flipped, top to bottom",
    "inverted": "inverted, black for white",
    "cropped": "cut out of a larger one",
}
Change = Literal["turned_left", "upside_down", "turned_right", "flipped", "inverted", "cropped"]

# Sizes up to this factor beyond those of the training cohort are accepted.
SIZE_MARGIN = 2.0
# A step between slices that is so much longer than those beside it is a hole. Series whose steps
# change once, as those of older heads do, have none.
GAP = 1.5


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


class AppearanceDomain(Spec):
    """Beyond which numbers a scan does not look like the healthy scans of the cohort.

    `rate` of healthy slices are expected beyond one of the two limits, which were taken from
    `slices` held-out healthy slices of `patients` patients. `changes` are those the bundle knows.
    """

    distance_limit: float = Field(gt=0.0)
    likeness_limit: float
    changes: tuple[Change, ...]
    rate: float = Field(gt=0.0, lt=1.0)
    slices: int = Field(ge=1)
    patients: int = Field(ge=1)

    def find_objection(self, look: Look) -> str | None:
        """Say in which way a scan looks foreign; None where it does not."""
        nearest = look.find_nearest_change()
        if nearest is not None and not nearest[1] <= self.likeness_limit:
            return f"The picture looks {CHANGES[nearest[0]]}."
        if not look.distance <= self.distance_limit:
            return (
                f"The picture does not look like a scan of this kind (distance "
                f"{look.distance:.1f}, limit {self.distance_limit:.1f})."
            )
        return None


class Domain(Spec):
    """What the training cohort was made of.

    `accepts_unstated` says that training scans were files that name no modality, such as pictures,
    so that files that name none are accepted too. Sides are in original pixels. `appearance` is
    None in bundles of the first format alone, which knew no such score.
    """

    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    accepts_unstated: bool
    accepts_color: bool
    shortest_side_px: int = Field(ge=1)
    longest_side_px: int = Field(ge=1)
    largest_aspect: float = Field(ge=1.0)
    statistics: StatisticsDomain
    appearance: AppearanceDomain | None

    def find_objection(
        self, scan: DecodedScan, statistics: tuple[float, ...], look: Look | None
    ) -> str | None:
        """Say why the scan is outside the domain; None where it is inside.

        Args:
            scan: as decoded.
            statistics: seven image statistics of its normalized slices, averaged.
            look: of its slices; None where the bundle has not learnt how healthy ones look.
        """
        return (
            _object_to_holes(scan)
            or self._object_to_kind(scan)
            or self._object_to_size(scan)
            or self._object_to_look(look)
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

    def _object_to_look(self, look: Look | None) -> str | None:
        if self.appearance is None:
            return None
        if look is None:
            return "How the picture looks could not be measured."
        return self.appearance.find_objection(look)

    def _object_to_intensities(self, statistics: tuple[float, ...]) -> str | None:
        distance = self.statistics.measure(statistics)
        if distance > self.statistics.limit:
            return (
                f"The intensities are unlike those of any training scan (distance {distance:.1f}, "
                f"limit {self.statistics.limit:.1f})."
            )
        return None


def _object_to_holes(scan: DecodedScan) -> str | None:
    """Object where slices are missing: what they would have shown nobody knows."""
    if scan.unread:
        count = len(scan.unread)
        whole = count + len({source.file for source in scan.sources})
        code = scan.unread[0].code[:32]
        return f"Slices are missing: {count} of {whole} files cannot be read ({code})."
    steps = np.abs(np.diff(scan.slice_positions_mm or ()))
    for index, step in enumerate(steps):
        beside = [*steps[max(0, index - 1) : index], *steps[index + 1 : index + 2]]
        if beside and step > GAP * max(beside) > 0.0:
            return (
                f"Slices seem to be missing behind slice {index + 1}: the next one lies"
                f" {step:.1f} mm away, its neighbours {max(beside):.1f} mm."
            )
    return None


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(words)
