"""Routes of single slices, as viewers ask for them: geometry once, then one slice at a time."""

from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Path, Query, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from app.analysis.maps import unpack_slice
from app.analysis.routes import TheViewing, Viewing
from app.analysis.sides import SideMarks, find_sides
from app.analysis.volumes import write_slice
from app.auth.access import CanReadCases
from app.cases.tables import FindingRow
from app.error_handlers import describe_errors
from app.errors import InvalidRequest
from models.decoding.scan import DecodedScan
from models.overlay import choose_window

router = APIRouter(prefix="/api/v1/cases/{case_id}", tags=["cases"])

_ERRORS = describe_errors(401, 403, 404, 415, 422, 429, 500, 503)


class Layer(StrEnum):
    """What of a slice is asked for."""

    SCAN = "scan"
    """Its pixels in real units."""
    ERROR_MAP = "error_map"
    """Its error map in multiples of the pixel threshold."""
    RECONSTRUCTION = "reconstruction"
    """What the network redrew, in real units."""


class Window(BaseModel):
    """Real values drawn black and white."""

    low: float = Field(examples=[-160.0])
    high: float = Field(examples=[240.0])


class Geometry(BaseModel):
    """What a viewer needs to know before the first slice."""

    rows: int = Field(examples=[512])
    columns: int = Field(examples=[512])
    slices: int = Field(examples=[120])
    spacing_mm: tuple[float, float] | None = Field(
        description="Between rows, between columns.", examples=[(0.5, 0.5)]
    )
    modality: str | None = Field(examples=["CT"])
    units: str | None = Field(description="Of the pixels.", examples=["HU"])
    window: Window = Field(description="The first that the file proposes, else of its values.")
    sides: SideMarks | None = Field(description="Which side is where; null: not stated.")

    @classmethod
    def of(cls, scan: DecodedScan) -> Self:
        """Describe a scan."""
        slices, rows, columns = scan.pixels.shape
        low, high = choose_window(scan)
        return cls(
            rows=rows,
            columns=columns,
            slices=slices,
            spacing_mm=scan.spacing_mm,
            modality=scan.modality,
            units=scan.units,
            window=Window(low=low, high=high),
            sides=find_sides(scan.placement) if scan.placement else None,
        )


@router.get("/geometry", responses=_ERRORS)
def show_geometry(caller: CanReadCases, case_id: UUID, viewing: TheViewing) -> Geometry:
    """Tell sizes, units, window and sides of a scan."""
    geometry = Geometry.of(viewing.shelf.find(case_id))
    viewing.views.note_picture(caller.id, case_id)
    return geometry


@router.get(
    "/slices/{index}",
    response_class=Response,
    responses={
        200: {
            "content": {"application/octet-stream": {}},
            "description": "NIfTI (column, row), int16 where that is exact, else float32.",
        },
        **_ERRORS,
    },
)
def show_slice(
    caller: CanReadCases,
    case_id: UUID,
    viewing: TheViewing,
    index: Annotated[int, Path(ge=0, le=100_000, description="Counted from 0.")],
    layer: Annotated[Layer, Query()] = Layer.SCAN,
) -> Response:
    """Give one slice of the scan, of its error map, or of its reconstruction."""
    scan = viewing.shelf.find(case_id)
    if index >= scan.slice_count:
        raise InvalidRequest(f"the scan has {scan.slice_count} slices, counted from 0")
    values = _read_layer(viewing, case_id, scan, index, layer)
    viewing.views.note_picture(caller.id, case_id)
    return Response(write_slice(values, scan), media_type="application/octet-stream")


def _read_layer(
    viewing: Viewing, case_id: UUID, scan: DecodedScan, index: int, layer: Layer
) -> NDArray[np.float32]:
    """Give one slice: float32 [H, W], unit of its layer."""
    if layer is Layer.SCAN:
        return np.asarray(scan.pixels[index])
    finding = viewing.find_finding(case_id)
    return unpack_slice(viewing.read_map(_choose_map(finding, layer)), index)


def _choose_map(finding: FindingRow | None, layer: Layer) -> str | None:
    if finding is None:
        return None
    is_map = layer is Layer.ERROR_MAP
    return finding.error_map_sha256 if is_map else finding.reconstruction_sha256
