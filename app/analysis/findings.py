"""From an examination to what is kept of it: maps as blobs, everything else as one row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from app.analysis.detection import Scored
from app.analysis.maps import pack_error_map, pack_reconstruction
from app.analysis.scan_queue import Examination
from app.cases.orders import NewFinding
from app.cases.references import build_likeness
from app.cases.service import keep_finding
from app.cases.tables import FindingRow
from app.storage.blobs import BlobStore, StoredBlob
from app.storage.service import register_blob
from models.regions import Region

_REASON_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class StoredCase:
    """A case, and the edition of its files that were read; None is the present one."""

    id: UUID
    edition: int | None = None


@dataclass(frozen=True, slots=True)
class PackedFinding:
    """A finding whose maps are on disk, ready for one transaction."""

    case_id: UUID
    finding: NewFinding
    blobs: tuple[StoredBlob, ...]
    is_shown: bool


def pack_finding(
    store: BlobStore, case: StoredCase, examination: Examination, *, is_shown: bool
) -> PackedFinding:
    """Put the maps of an examination into the store, durably, and describe the rest.

    Raises:
        StorageError: the maps cannot be stored at the moment.
    """
    scored = examination.finding.scored
    maps: tuple[StoredBlob, ...] = ()
    if scored is not None:
        error_map = store.write(pack_error_map(scored.restore_error_map()))
        reconstruction = store.write(pack_reconstruction(scored.restore_reconstruction()))
        maps = (error_map, reconstruction)
    finding = describe_finding(examination, maps, case.edition)
    return PackedFinding(case.id, finding, maps, is_shown)


def describe_finding(
    examination: Examination, maps: tuple[StoredBlob, ...], edition: int | None = None
) -> NewFinding:
    """Describe what an examination found; `maps` are error map and reconstruction, or none."""
    found, verdict = examination.finding, examination.finding.verdict
    scored = found.scored
    facts: dict[str, Any] = {}
    if scored is not None:
        facts = {
            "slice_count": scored.measured.scan.slice_count,
            "likeness": build_likeness(_take_reconstruction(scored)),
            "slice_scores": [float(value) for value in scored.slice_scores],
            "instance_verdicts": describe_files(scored),
            "head_scores": {
                name: [float(value) for value in values]
                for name, values in scored.head_scores.items()
            },
        }
    return NewFinding(
        bundle_digest=examination.digest,
        verdict=verdict.label,
        score=verdict.score,
        p_value=verdict.p_value,
        threshold=verdict.threshold,
        reason=verdict.reason[:_REASON_CHARACTERS],
        error_map_sha256=maps[0].sha256 if maps else None,
        reconstruction_sha256=maps[1].sha256 if maps else None,
        duration_s=examination.duration_s,
        regions=describe_regions(found.regions),
        edition=edition,
        **facts,
    )


def keep_packed(
    session: Session, store: BlobStore, packed: PackedFinding, at: datetime
) -> FindingRow:
    """Keep a finding with its maps inside a transaction.

    Raises:
        BlobNotFound: the collector took a map in between; pack the finding again.
        CaseNotFound: the case was deleted meanwhile.
    """
    for blob in packed.blobs:
        register_blob(session, store, blob, at)
    return keep_finding(session, packed.case_id, packed.finding, at, is_shown=packed.is_shown)


def _take_reconstruction(scored: Scored) -> NDArray[np.float32]:
    """Give what was redrawn: float32 [S, H, W], 0..1, tensor pixels."""
    image = scored.measured.reconstruction.image
    return np.asarray(image[:, 0].detach().float().cpu().numpy(), dtype=np.float32)


def describe_files(scored: Scored) -> list[dict[str, Any]]:
    """Give where each file of a scan is among its slices, and its strangest slice's score.

    Of a file that gave no slice the code of the error is given.
    """
    slices: dict[int, list[int]] = {}
    for index, source in enumerate(scored.measured.scan.sources):
        slices.setdefault(source.file, []).append(index)
    return [
        {
            "position": file,
            "slice_index": own[0],
            "slice_count": len(own),
            "slice_score": max(float(scored.slice_scores[index]) for index in own),
        }
        for file, own in sorted(slices.items())
    ] + [
        {"position": each.file, "slice_index": None, "slice_count": 0, "failure_code": each.code}
        for each in scored.measured.scan.unread
    ]


def describe_regions(regions: Sequence[Region]) -> list[dict[str, Any]]:
    """Give regions as they are kept and shown."""
    return [
        {
            "slice_index": region.slice_index,
            "box": list(region.box),
            "area_px": region.area_px,
            "area_mm2": region.area_mm2,
            "peak": list(region.peak),
            "peak_value": region.peak_value,
        }
        for region in regions
    ]
