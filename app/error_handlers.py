"""Errors to answers: one JSON shape with a stable code word, whatever went wrong.

Here alone an error becomes a response. Core errors carry no status; their families get one here.
Browsers that ask for a page get the error page, drawn by `app.state.draw_error` where there are
pages.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from app.errors import (
    InvalidRequest,
    MethodNotAllowed,
    RequestError,
    RouteNotFound,
    ServiceError,
)
from app.request_context import request_id
from models.errors import (
    AegleError,
    BundleError,
    DecodeError,
    TooManyBytes,
    UnknownFormat,
    UnscorableScan,
    UnsupportedEncoding,
)

_LOG = logging.getLogger(__name__)

_RETRY_AFTER_S = 5  # of a 503 that knows no better

_CORE_STATUS: tuple[tuple[type[AegleError], int], ...] = (
    (TooManyBytes, 413),
    (UnknownFormat, 415),
    (UnsupportedEncoding, 415),
    (DecodeError, 422),
    (UnscorableScan, 422),
    (BundleError, 422),
)

# What programs ask for; errors there are JSON whatever they accept.
PROGRAM_PATHS = ("/api/", "/dicom-web", "/metrics", "/healthz", "/readyz")


class FieldProblem(BaseModel):
    """One field of a request that cannot be used."""

    field: str = Field(examples=["body.name"])
    problem: str = Field(examples=["Field required"])


class ErrorDetail(BaseModel):
    """What went wrong."""

    code: str = Field(description="Stable code word.", examples=["permission_denied"])
    message: str = Field(examples=["This key or user is not allowed to do this."])
    request_id: str | None = Field(default=None, description="To find the log lines by.")
    fields: list[FieldProblem] = Field(default_factory=list)


class ErrorBody(BaseModel):
    """The one shape of every error."""

    error: ErrorDetail


def describe_errors(*statuses: int) -> dict[int | str, dict[str, object]]:
    """Give the `responses` of a route that may answer with these error statuses."""
    return {
        status: {"model": ErrorBody, "description": HTTPStatus(status).phrase}
        for status in statuses
    }


def name_error_media(document: dict[str, Any]) -> None:
    """Say in an OpenAPI document that errors are JSON, also where a route answers pictures."""
    for item in document["paths"].values():
        for operation in item.values():
            for answer in operation["responses"].values():
                _move_error(answer.get("content", {}))


def _move_error(content: dict[str, Any]) -> None:
    for kind, media in list(content.items()):
        if media.get("schema", {}).get("$ref", "").endswith("/ErrorBody"):
            content["application/json"] = content.pop(kind)


def find_status(error: AegleError) -> int:
    """Give the status of an error; 500 for a core error that should have been met earlier."""
    if isinstance(error, ServiceError):
        return error.status
    return next((status for kind, status in _CORE_STATUS if isinstance(error, kind)), 500)


# Draws the error page for a request, with the status of the answer.
DrawError = Callable[[Request, ErrorDetail, int], Response]


def answer_error(error: AegleError, fields: list[FieldProblem] | None = None) -> Response:
    """Turn an error into its answer to a program."""
    status = find_status(error)
    body = ErrorBody(error=_describe(error, fields)).model_dump(mode="json")
    answer = JSONResponse(body, status_code=status)
    if status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return _add_pause(answer, error)


def add_error_handlers(app: FastAPI) -> None:
    """Give the application the one way to answer errors."""
    app.add_exception_handler(AegleError, _answer_aegle_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid_request)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(Exception, _answer_bug)


def _answer(
    request: Request, error: AegleError, fields: list[FieldProblem] | None = None
) -> Response:
    draw: DrawError | None = getattr(request.app.state, "draw_error", None)
    if draw is None or not _wants_page(request):
        return answer_error(error, fields)
    page = draw(request, _describe(error, fields), find_status(error))
    return _add_pause(page, error)


def _wants_page(request: Request) -> bool:
    if request.url.path.startswith(PROGRAM_PATHS):
        return False
    return "hx-request" in request.headers or "text/html" in request.headers.get("accept", "")


def _describe(error: AegleError, fields: list[FieldProblem] | None) -> ErrorDetail:
    return ErrorDetail(
        code=error.code,
        message=str(error),
        request_id=request_id.get(),
        fields=fields or [],
    )


def _add_pause(answer: Response, error: AegleError) -> Response:
    """Say when to come back, where that is known; a 503 always says so."""
    pause_s = error.retry_after_s if isinstance(error, ServiceError) else None
    if pause_s is None and find_status(error) == HTTPStatus.SERVICE_UNAVAILABLE:
        pause_s = _RETRY_AFTER_S
    if pause_s is not None:
        answer.headers["Retry-After"] = str(pause_s)
    return answer


def _answer_aegle_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, AegleError):
        raise error
    if find_status(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _LOG.error("request failed", exc_info=error, extra={"fields": {"code": error.code}})
    return _answer(request, error)


def _answer_invalid_request(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    # What was sent is not repeated: it may be patient data.
    fields = [
        FieldProblem(field=_name_field(item), problem=_tell_problem(item))
        for item in error.errors()
    ]
    return _answer(request, InvalidRequest(), fields)


def _answer_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == HTTPStatus.NOT_FOUND:
        return _answer(request, RouteNotFound())
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer = _answer(request, MethodNotAllowed())
        answer.headers.update(error.headers or {})
        return answer
    if error.status_code == HTTPStatus.BAD_REQUEST:  # a body that is no JSON, not even text
        return answer_error(InvalidRequest())
    if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _answer(request, RequestError())
    return _answer(request, ServiceError())


def _answer_bug(request: Request, error: Exception) -> Response:
    _LOG.error("unexpected error", exc_info=error)
    return _answer(request, ServiceError())


def _name_field(item: dict[str, Any]) -> str:
    # An unknown key is the caller's text: only the part of the request is named.
    known = item["loc"][:-1] if item["type"] == "extra_forbidden" else item["loc"]
    return ".".join(str(part) for part in known[:3])


def _tell_problem(item: dict[str, object]) -> str:
    return str(item["type"]).replace("_", " ")
