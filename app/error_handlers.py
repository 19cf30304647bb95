"""Errors to answers: one JSON shape with a stable code word, whatever went wrong.

Here alone an error becomes a response. Core errors carry no status; their families get one here.
"""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
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

_CORE_STATUS: tuple[tuple[type[AegleError], int], ...] = (
    (TooManyBytes, 413),
    (UnknownFormat, 415),
    (UnsupportedEncoding, 415),
    (DecodeError, 422),
    (UnscorableScan, 422),
    (BundleError, 422),
)


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


def find_status(error: AegleError) -> int:
    """Give the status of an error; 500 for a core error that should have been met earlier."""
    if isinstance(error, ServiceError):
        return error.status
    return next((status for kind, status in _CORE_STATUS if isinstance(error, kind)), 500)


def answer_error(error: AegleError, fields: list[FieldProblem] | None = None) -> JSONResponse:
    """Turn an error into its answer."""
    detail = ErrorDetail(
        code=error.code,
        message=str(error),
        request_id=request_id.get(),
        fields=fields or [],
    )
    status = find_status(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    if isinstance(error, ServiceError) and error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    body = ErrorBody(error=detail).model_dump(mode="json")
    return JSONResponse(body, status_code=status, headers=headers)


def add_error_handlers(app: FastAPI) -> None:
    """Give the application the one way to answer errors."""
    app.add_exception_handler(AegleError, _answer_aegle_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid_request)
    app.add_exception_handler(HTTPException, _answer_http_exception)
    app.add_exception_handler(Exception, _answer_bug)


def _answer_aegle_error(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - starlette's signature
    if not isinstance(error, AegleError):
        raise error
    if find_status(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _LOG.error("request failed", exc_info=error, extra={"fields": {"code": error.code}})
    return answer_error(error)


def _answer_invalid_request(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - starlette's signature
    if not isinstance(error, RequestValidationError):
        raise error
    # What was sent is not repeated: it may be patient data.
    fields = [
        FieldProblem(field=_name_field(item["loc"]), problem=_tell_problem(item))
        for item in error.errors()
    ]
    return answer_error(InvalidRequest(), fields)


def _answer_http_exception(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - starlette's signature
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == HTTPStatus.NOT_FOUND:
        return answer_error(RouteNotFound())
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer = answer_error(MethodNotAllowed())
        answer.headers.update(error.headers or {})
        return answer
    if error.status_code == HTTPStatus.BAD_REQUEST:  # a body that is no JSON, not even text
        return answer_error(InvalidRequest())
    if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return answer_error(RequestError())
    return answer_error(ServiceError())


def _answer_bug(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - starlette's signature
    _LOG.error("unexpected error", exc_info=error)
    return answer_error(ServiceError())


def _name_field(location: tuple[int | str, ...]) -> str:
    # An unknown key is the caller's text: only the part of the request is named.
    return ".".join(str(part) for part in location[:3])


def _tell_problem(item: dict[str, object]) -> str:
    return str(item["type"]).replace("_", " ")
