"""WADO-RS pictures: `rendered` and `thumbnail` (PS3.18 10.4.1.1.3 and 10.4.1.1.4)."""

import math
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.audit.service import Action
from app.auth.access import CanReadCases
from app.dicom.asked import Asked, AskedInstance, AskedSeries
from app.dicom.errors import InvalidQuery
from app.dicom.media import choose
from app.dicom.rendering import JPEG, PNG, RenderOrder, render_frame
from app.dicom.tables import DicomInstanceRow
from app.error_handlers import describe_errors

router = APIRouter(prefix="/dicom-web/studies/{study_uid}/series/{series_uid}", tags=["dicomweb"])

_INSTANCE = "/instances/{sop_uid}"
_THUMBNAIL_PX = 128
_MAX_SIDE_PX = 4096
_MAX_DIGITS = 6

_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {JPEG: {}, PNG: {}}, "description": "A frame drawn for people."},
    **describe_errors(400, 401, 403, 404, 406, 413, 415, 422, 429, 500, 503),
}


class RenderQuery(BaseModel):
    """How a frame is drawn."""

    model_config = ConfigDict(extra="ignore")

    viewport: str | None = Field(
        default=None, max_length=64, description="Width,height of the largest picture, in pixels."
    )
    window: str | None = Field(
        default=None, max_length=64, description="Center,width,linear: real values that are shown."
    )
    quality: int = Field(default=90, ge=1, le=100, description="Of a JPEG.")


Rendering = Annotated[RenderQuery, Query()]


class Picture(Response):
    """A picture."""

    media_type = JPEG


@router.get(_INSTANCE + "/rendered", response_class=Picture, responses=_PICTURE)
def render_instance(caller: CanReadCases, asked: AskedInstance, query: Rendering) -> Response:
    """Draw the middle frame of an instance."""
    return _answer(caller.id, asked, None, query)


@router.get(_INSTANCE + "/frames/{number}/rendered", response_class=Picture, responses=_PICTURE)
def render_one_frame(
    caller: CanReadCases, asked: AskedInstance, number: int, query: Rendering
) -> Response:
    """Draw a frame of an instance, counted from 1."""
    return _answer(caller.id, asked, number, query)


@router.get(_INSTANCE + "/thumbnail", response_class=Picture, responses=_PICTURE)
def draw_thumbnail(caller: CanReadCases, asked: AskedInstance, query: Rendering) -> Response:
    """Draw the middle frame of an instance, small."""
    return _answer(caller.id, asked, None, _make_small(query))


@router.get("/thumbnail", response_class=Picture, responses=_PICTURE)
def draw_series_thumbnail(caller: CanReadCases, asked: AskedSeries, query: Rendering) -> Response:
    """Draw the middle of a series, small."""
    return _answer(caller.id, asked, None, _make_small(query))


def _answer(caller: str, asked: Asked, number: int | None, query: RenderQuery) -> Response:
    row = _take_middle(asked.find())
    kind = choose(asked.wanted, (JPEG, PNG), "").kind
    order = RenderOrder(
        frame=row.frame_count // 2 + 1 if number is None else number,
        window=_parse_window(query.window),
        size_px=_parse_viewport(query.viewport),
        kind=kind if kind in {JPEG, PNG} else JPEG,
        quality=query.quality,
    )
    picture = render_frame(asked.reader, row, order)
    asked.reader.note(caller, [row], Action.CASE_VIEWED, "picture")
    return Response(picture, media_type=order.kind)


def _take_middle(rows: Sequence[DicomInstanceRow]) -> DicomInstanceRow:
    return rows[len(rows) // 2]


def _make_small(query: RenderQuery) -> RenderQuery:
    viewport = query.viewport or f"{_THUMBNAIL_PX},{_THUMBNAIL_PX}"
    return query.model_copy(update={"viewport": viewport})


def _parse_window(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        center, width = (float(part) for part in text.split(",")[:2])
    except ValueError:
        raise InvalidQuery("a window is center,width,linear") from None
    if not (math.isfinite(center) and math.isfinite(width) and width > 0):
        raise InvalidQuery("a window is center,width,linear")
    return center - width / 2, center + width / 2


def _parse_viewport(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.split(",")[:2]
    is_plain = all(part.isascii() and part.isdigit() for part in parts)
    sizes = [min(int(part[:_MAX_DIGITS]), _MAX_SIDE_PX) for part in parts] if is_plain else []
    if len(sizes) < 2 or 0 in sizes:
        raise InvalidQuery("a viewport is width,height in pixels")
    return sizes[0], sizes[1]
