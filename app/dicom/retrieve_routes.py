"""WADO-RS: metadata, whole objects, frames, long values (PS3.18 10.4)."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse

from app.audit.service import Action
from app.auth.access import CanExportCases, CanReadCases
from app.dicom.asked import Asked, AskedInstance, AskedSeries, AskedStudy, JsonAnswer
from app.dicom.errors import InvalidQuery, NotAcceptable
from app.dicom.frames import read_frames
from app.dicom.media import (
    DICOM,
    DICOM_JSON,
    OCTETS,
    AnswerPart,
    choose,
    draw_boundary,
    name_multipart,
    write_multipart,
)
from app.error_handlers import describe_errors

router = APIRouter(prefix="/dicom-web/studies/{study_uid}", tags=["dicomweb"])

_SERIES = "/series/{series_uid}"
_INSTANCE = _SERIES + "/instances/{sop_uid}"
_MAX_CHARACTERS = 64_000
_MAX_DIGITS = 10
_ENCODED = ("image/jpeg", "image/jp2", "image/jls", "image/dicom-rle", "image/jphc")

Answers = dict[int | str, dict[str, Any]]

_ERRORS = describe_errors(400, 401, 403, 404, 406, 413, 415, 422, 429, 500, 503)
_METADATA: Answers = {
    200: {
        "content": {DICOM_JSON: {"schema": {"type": "array", "items": {"type": "object"}}}},
        "description": "Headers as DICOM JSON, without pixels.",
    },
    **_ERRORS,
}
_OBJECTS: Answers = {
    200: {"content": {"multipart/related": {}, DICOM: {}}, "description": "Files as kept."},
    **_ERRORS,
}
_FRAMES: Answers = {
    200: {"content": {"multipart/related": {}, OCTETS: {}}, "description": "Values as kept."},
    **_ERRORS,
}
Tag = Annotated[str, Path(pattern="^[0-9A-Fa-f]{8}$")]


class Multipart(Response):
    """Several parts."""

    media_type = "multipart/related"


@router.get("/metadata", response_class=JsonAnswer, responses=_METADATA)
def read_study_metadata(caller: CanReadCases, asked: AskedStudy) -> Response:
    """Give the headers of a study from the index."""
    return _answer_metadata(caller.id, asked)


@router.get(_SERIES + "/metadata", response_class=JsonAnswer, responses=_METADATA)
def read_series_metadata(caller: CanReadCases, asked: AskedSeries) -> Response:
    """Give the headers of a series from the index."""
    return _answer_metadata(caller.id, asked)


@router.get(_INSTANCE + "/metadata", response_class=JsonAnswer, responses=_METADATA)
def read_instance_metadata(caller: CanReadCases, asked: AskedInstance) -> Response:
    """Give the header of an instance from the index."""
    return _answer_metadata(caller.id, asked)


@router.get("", response_class=Multipart, responses=_OBJECTS)
def retrieve_study(caller: CanExportCases, asked: AskedStudy) -> Response:
    """Give all files of a study."""
    return _answer_objects(caller.id, asked)


@router.get(_SERIES, response_class=Multipart, responses=_OBJECTS)
def retrieve_series(caller: CanExportCases, asked: AskedSeries) -> Response:
    """Give all files of a series."""
    return _answer_objects(caller.id, asked)


@router.get(_INSTANCE, response_class=Multipart, responses=_OBJECTS)
def retrieve_instance(caller: CanExportCases, asked: AskedInstance) -> Response:
    """Give the file of an instance, alone or as the one part of an answer."""
    return _answer_objects(caller.id, asked)


@router.get(_INSTANCE + "/frames/{numbers}", response_class=Multipart, responses=_FRAMES)
def retrieve_frames(caller: CanReadCases, asked: AskedInstance, numbers: str) -> Response:
    """Give frames as they are encoded; `numbers` are counted from 1 and set apart by commas."""
    row = asked.find()[0]
    reader = asked.reader
    syntax, frames = read_frames(reader.read(row), _parse_numbers(numbers), reader.limits)
    chosen = choose(asked.wanted, (OCTETS, *_ENCODED), syntax)
    reader.note(caller.id, [row], Action.CASE_VIEWED, "frames")
    kind = f"{OCTETS}; transfer-syntax={syntax}"
    if not chosen.is_multipart and len(frames) == 1:
        return Response(frames[0], media_type=kind)
    return _answer_parts(OCTETS, [AnswerPart(kind, asked.path, (frame,)) for frame in frames])


@router.get(_INSTANCE + "/bulkdata/{tag}", response_class=Multipart, responses=_FRAMES)
def retrieve_bulk(caller: CanReadCases, asked: AskedInstance, tag: Tag) -> Response:
    """Give a long value that the metadata name only."""
    row = asked.find()[0]
    chosen = choose(asked.wanted, (OCTETS,), "")
    content = asked.reader.read_bulk(row, tag.upper())
    asked.reader.note(caller.id, [row], Action.CASE_VIEWED, "bulk data")
    if not chosen.is_multipart:
        return Response(content, media_type=OCTETS)
    return _answer_parts(OCTETS, [AnswerPart(OCTETS, asked.path, (content,))])


def _answer_metadata(caller: str, asked: Asked) -> Response:
    rows = asked.find()
    asked.reader.note(caller, rows, Action.CASE_VIEWED, "metadata")
    return StreamingResponse(asked.reader.write_metadata(rows), media_type=DICOM_JSON)


def _answer_objects(caller: str, asked: Asked) -> Response:
    rows = asked.find()
    chosen = [choose(asked.wanted, (DICOM,), row.transfer_syntax_uid) for row in rows]
    is_bare = any(each.kind == DICOM and not each.is_multipart for each in chosen)
    if is_bare and asked.name.sop_uid is None:
        raise NotAcceptable
    asked.reader.note(caller, rows, Action.CASE_EXPORTED, "objects")
    if is_bare:
        chunks = asked.reader.storage.blobs.read_chunks(rows[0].sha256)
        return StreamingResponse(chunks, media_type=DICOM)
    return _answer_parts(DICOM, asked.reader.list_parts(rows))


def _answer_parts(kind: str, parts: Iterable[AnswerPart]) -> Response:
    boundary = draw_boundary()
    return StreamingResponse(
        write_multipart(parts, boundary), media_type=name_multipart(kind, boundary)
    )


def _parse_numbers(text: str) -> list[int]:
    parts = text.split(",")
    is_plain = all(part.isascii() and part.isdigit() for part in parts)
    if len(text) > _MAX_CHARACTERS or not is_plain:
        raise InvalidQuery("frames are whole numbers set apart by commas")
    return [int(part[:_MAX_DIGITS]) for part in parts]
