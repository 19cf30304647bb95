"""QIDO-RS: studies, series and instances searched (PS3.18 10.6)."""

from typing import Any

from fastapi import APIRouter, Request, Response

from app.auth.access import CanReadCases
from app.dicom.asked import JsonAnswer, TheReader, write_json
from app.dicom.listing import list_found
from app.dicom.media import DICOM_JSON
from app.dicom.queries import Level, parse_search
from app.dicom.retrieval import ObjectReader
from app.error_handlers import describe_errors

router = APIRouter(prefix="/dicom-web", tags=["dicomweb"])

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {DICOM_JSON: {"schema": {"type": "array", "items": {"type": "object"}}}},
        "description": "DICOM JSON of what was found.",
    },
    **describe_errors(400, 401, 403, 404, 406, 422, 429, 500, 503),
}
_MORE = '299 aegle "There are additional results that can be requested"'
_IGNORED = '299 aegle "Some attributes cannot be searched by and were not"'


@router.get("/studies", response_class=JsonAnswer, responses=_RESPONSES)
def search_studies(_caller: CanReadCases, request: Request, reader: TheReader) -> Response:
    """List studies by their attributes: `limit`, `offset`, `includefield`, wildcards, ranges."""
    return _search(request, reader, Level.STUDY, None, None)


@router.get("/series", response_class=JsonAnswer, responses=_RESPONSES)
def search_all_series(_caller: CanReadCases, request: Request, reader: TheReader) -> Response:
    """List series of all studies."""
    return _search(request, reader, Level.SERIES, None, None)


@router.get("/studies/{study_uid}/series", response_class=JsonAnswer, responses=_RESPONSES)
def search_series(
    _caller: CanReadCases, request: Request, study_uid: str, reader: TheReader
) -> Response:
    """List series of a study."""
    return _search(request, reader, Level.SERIES, study_uid, None)


@router.get("/instances", response_class=JsonAnswer, responses=_RESPONSES)
def search_all_instances(_caller: CanReadCases, request: Request, reader: TheReader) -> Response:
    """List instances of all studies."""
    return _search(request, reader, Level.INSTANCE, None, None)


@router.get("/studies/{study_uid}/instances", response_class=JsonAnswer, responses=_RESPONSES)
def search_study_instances(
    _caller: CanReadCases, request: Request, study_uid: str, reader: TheReader
) -> Response:
    """List instances of a study."""
    return _search(request, reader, Level.INSTANCE, study_uid, None)


@router.get(
    "/studies/{study_uid}/series/{series_uid}/instances",
    response_class=JsonAnswer,
    responses=_RESPONSES,
)
def search_instances(
    _caller: CanReadCases, request: Request, study_uid: str, series_uid: str, reader: TheReader
) -> Response:
    """List instances of a series."""
    return _search(request, reader, Level.INSTANCE, study_uid, series_uid)


def _search(
    request: Request,
    reader: ObjectReader,
    level: Level,
    study_uid: str | None,
    series_uid: str | None,
) -> Response:
    search = parse_search(
        level,
        request.query_params.multi_items(),
        StudyInstanceUID=study_uid,
        SeriesInstanceUID=series_uid,
    )
    with reader.storage.database.reading() as session:
        found, has_more = list_found(session, search, reader.address)
    warnings = [text for holds, text in ((has_more, _MORE), (search.ignored, _IGNORED)) if holds]
    return write_json(found, warnings)
