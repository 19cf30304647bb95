"""Routes of what is drawn and computed: pictures and volumes of a case."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from app.analysis.maps import unpack_map, unpack_slice
from app.analysis.pictures import PictureOrder, draw_case, draw_preview
from app.analysis.shelf import ScanShelf
from app.analysis.volumes import MEDIA_TYPES, SUFFIXES, VolumeFormat, write_volume
from app.audit.service import Action
from app.auth.access import CanExportCases, CanReadCases
from app.cases.repository import CaseRepository
from app.cases.tables import FindingRow
from app.cases.viewing import ViewLog
from app.error_handlers import describe_errors
from app.errors import FindingNotFound, InvalidRequest
from app.storage.opening import Storage
from models.decoding.scan import DecodedScan

router = APIRouter(prefix="/api/v1/cases/{case_id}", tags=["cases"])

Answers = dict[int | str, dict[str, Any]]

_ERRORS: Answers = describe_errors(401, 403, 404, 415, 422, 429, 500, 503)
_PICTURE: Answers = {200: {"content": {"image/png": {}}, "description": "A picture."}, **_ERRORS}
_VOLUME: Answers = {
    200: {
        "content": {kind: {} for kind in MEDIA_TYPES.values()},
        "description": "float32 [S, H, W] as npy, or (column, row, slice) as NIfTI, gzipped.",
    },
    **_ERRORS,
}


class PreviewQuery(BaseModel):
    """Which slice, and how large."""

    model_config = ConfigDict(extra="forbid")

    slice: int | None = Field(
        default=None, ge=0, le=100_000, description="Counted from 0; the strangest by default."
    )
    size: int | None = Field(
        default=None, ge=16, le=4096, description="Longest side in pixels; as it is by default."
    )

    quick: bool = Field(
        default=False,
        description="Read no more than the file of this slice where that will do; a window that "
        "the file does not propose is then of this slice alone.",
    )


class OverlayQuery(PreviewQuery):
    """Which slice, how large, and how the error map lies over it."""

    opacity: float = Field(default=0.7, ge=0.0, le=1.0)
    outline: bool = True


Format = Annotated[VolumeFormat, Query(alias="format")]


@dataclass(frozen=True, slots=True)
class Viewing:
    """What pictures and volumes are made from."""

    storage: Storage
    shelf: ScanShelf
    views: ViewLog

    def find_finding(self, case_id: UUID) -> FindingRow | None:
        """Give the finding that is shown, None where there is none yet.

        Raises:
            CaseNotFound: there is no such case.
        """
        with self.storage.database.reading() as session:
            case = CaseRepository(session).get_case(case_id)
            digest = case.bundle_digest
            return (digest and CaseRepository(session).find_finding(case_id, digest)) or None

    def read_map(self, sha256: str | None) -> bytes:
        """Give a stored map.

        Raises:
            FindingNotFound: there is none, the scan could not be looked at.
        """
        if sha256 is None:
            raise FindingNotFound("the case has no map: it was not scored, or cannot be")
        return self.storage.blobs.read(sha256)


def get_viewing(request: Request) -> Viewing:
    """Give what pictures are made from, of the application that answers."""
    state = request.app.state
    return Viewing(state.storage, state.shelf, state.views)


TheViewing = Annotated[Viewing, Depends(get_viewing)]


class Picture(Response):
    """A PNG."""

    media_type = "image/png"


@router.get("/overlay.png", response_class=Response, responses=_PICTURE)
def show_overlay(
    caller: CanReadCases,
    case_id: UUID,
    viewing: TheViewing,
    query: Annotated[OverlayQuery, Query()],
) -> Picture:
    """Draw a slice with its error map over it; transparent where it is like healthy scans."""
    finding = viewing.find_finding(case_id)
    content = viewing.read_map(finding.error_map_sha256 if finding else None)
    scan, index, place = _open_slice(viewing, case_id, finding, query)
    order = PictureOrder(place, query.size, query.opacity, has_outline=query.outline)
    viewing.views.note_picture(caller.id, case_id)
    return Picture(draw_case(scan, unpack_slice(content, index), order))


@router.get("/preview.png", response_class=Response, responses=_PICTURE)
def show_preview(
    caller: CanReadCases,
    case_id: UUID,
    viewing: TheViewing,
    query: Annotated[PreviewQuery, Query()],
) -> Picture:
    """Draw a slice in grey."""
    finding = viewing.find_finding(case_id)
    scan, _, place = _open_slice(viewing, case_id, finding, query)
    viewing.views.note_picture(caller.id, case_id)
    return Picture(draw_preview(scan, PictureOrder(place, query.size, 0.0, has_outline=False)))


@router.get("/scan", response_class=Response, responses=_VOLUME)
def download_scan(
    caller: CanExportCases,
    case_id: UUID,
    viewing: TheViewing,
    kind: Format = VolumeFormat.NIFTI,
) -> Response:
    """Give the pixels of the scan in real units."""
    scan = viewing.shelf.find(case_id)
    viewing.views.note(caller.id, case_id, Action.CASE_EXPORTED, "scan")
    return _answer(scan.pixels, scan, kind, "scan")


@router.get("/error_map", response_class=Response, responses=_VOLUME)
def download_error_map(
    caller: CanExportCases,
    case_id: UUID,
    viewing: TheViewing,
    kind: Format = VolumeFormat.NIFTI,
) -> Response:
    """Give the error map in multiples of the pixel threshold."""
    return _export_map(caller.id, case_id, viewing, kind, "error_map")


@router.get("/reconstruction", response_class=Response, responses=_VOLUME)
def download_reconstruction(
    caller: CanExportCases,
    case_id: UUID,
    viewing: TheViewing,
    kind: Format = VolumeFormat.NIFTI,
) -> Response:
    """Give what the network redrew, in real units."""
    return _export_map(caller.id, case_id, viewing, kind, "reconstruction")


def _export_map(
    caller_id: str, case_id: UUID, viewing: Viewing, kind: VolumeFormat, name: str
) -> Response:
    finding = viewing.find_finding(case_id)
    digests = (
        {"error_map": finding.error_map_sha256, "reconstruction": finding.reconstruction_sha256}
        if finding
        else {}
    )
    content = viewing.read_map(digests.get(name))
    scan = viewing.shelf.find(case_id)
    viewing.views.note(caller_id, case_id, Action.CASE_EXPORTED, name)
    return _answer(unpack_map(content), scan, kind, name)


def _open_slice(
    viewing: Viewing, case_id: UUID, finding: FindingRow | None, query: PreviewQuery
) -> tuple[DecodedScan, int, int]:
    """Give a scan, which slice of the case is drawn, and its place in this scan."""
    scores = finding.slice_scores if finding else []
    if not query.quick or finding is None or not scores:
        scan = viewing.shelf.find(case_id)
        index = _choose_slice(scan, finding, query.slice)
        return scan, index, index
    index = int(np.argmax(scores)) if query.slice is None else query.slice
    if index >= len(scores):
        raise InvalidRequest(f"the scan has {len(scores)} slices, counted from 0")
    scan, place = viewing.shelf.find_slice(case_id, _find_file(finding, index), index)
    return scan, index, place


def _find_file(finding: FindingRow, index: int) -> int | None:
    """Give the position of the file that holds this slice and no other."""
    files = finding.instance_verdicts
    found = (file for file in files if file["slice_index"] == index and file["slice_count"] == 1)
    return next((int(file["position"]) for file in found), None) if len(files) > 1 else None


def _choose_slice(scan: DecodedScan, finding: FindingRow | None, wanted: int | None) -> int:
    if wanted is None:
        scores = finding.slice_scores if finding else []
        return int(np.argmax(scores)) if scores else scan.slice_count // 2
    if wanted >= scan.slice_count:
        raise InvalidRequest(f"the scan has {scan.slice_count} slices, counted from 0")
    return wanted


def _answer(
    values: NDArray[np.float32], scan: DecodedScan, kind: VolumeFormat, name: str
) -> Response:
    return Response(
        write_volume(values, scan, kind),
        media_type=MEDIA_TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="{name}{SUFFIXES[kind]}"'},
    )
