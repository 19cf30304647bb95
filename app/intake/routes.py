"""Routes of the intake: a scan is handed in, and its receipt is asked for."""

import asyncio
import re
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.auth.access import CanSendScans
from app.cases.states import Channel
from app.error_handlers import describe_errors
from app.errors import InvalidIdempotencyKey, InvalidRequest
from app.intake.multipart import read_body
from app.intake.schemas import Receipt, UploadFields
from app.intake.service import Accepted, Intake, Offer

_KEY = re.compile(r"[A-Za-z0-9.:_-]{1,128}")
_UPLOAD_ERRORS = (400, 401, 403, 409, 413, 415, 422, 429, 500, 503, 507)
_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    **{name: {"type": "string"} for name in UploadFields.model_fields},
                },
            }
        },
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        "application/dicom": {"schema": {"type": "string", "format": "binary"}},
        "application/zip": {"schema": {"type": "string", "format": "binary"}},
        "image/png": {"schema": {"type": "string", "format": "binary"}},
        "image/jpeg": {"schema": {"type": "string", "format": "binary"}},
    },
}

router = APIRouter(prefix="/api/v1/scans", tags=["scans"])


def get_intake(request: Request) -> Intake:
    """Give the intake of the application that answers."""
    intake: Intake = request.app.state.intake
    return intake


TheIntake = Annotated[Intake, Depends(get_intake)]


@router.post(
    "",
    status_code=201,
    responses={
        200: {"model": Receipt, "description": "These bytes are a case already."},
        201: {"description": "Taken in, and scored or set aside."},
        202: {"model": Receipt, "description": "Taken in; ask at Location for the finding."},
        **describe_errors(*_UPLOAD_ERRORS),
    },
    openapi_extra={"requestBody": _BODY},
)
async def send_scan(
    caller: CanSendScans,
    request: Request,
    response: Response,
    intake: TheIntake,
    wait: Annotated[float, Query(ge=0.0, description="Seconds to wait for the finding.")] = 0.0,
    idempotency_key: Annotated[str | None, Header(max_length=128)] = None,
) -> Receipt:
    """Hand in one file of any format that can be decoded, or a zip of a series.

    The body is the file itself, or a form with a part `file` and fields for what the file does not
    say. What is answered with 200, 201 or 202 is on disk.
    """
    if idempotency_key is not None and not _KEY.fullmatch(idempotency_key):
        raise InvalidIdempotencyKey
    intake.storage.watermark.check(_find_length(request))
    intake.line.take_place()
    try:
        draft = await run_in_threadpool(intake.storage.blobs.draft)
        with draft:
            fields = UploadFields.read(await read_body(request, draft))
            if not draft.size_bytes:
                raise InvalidRequest("the body is empty")
            offer = Offer(draft, caller, Channel.REST, fields, idempotency_key)
            accepted = await run_in_threadpool(intake.accept, offer)
    finally:
        intake.line.give_place_back()
    await _wait(intake, accepted, min(wait, request.app.state.settings.max_wait_s))
    receipt = await run_in_threadpool(
        intake.describe, accepted.upload_id, caller, is_known=accepted.is_known
    )
    response.status_code = _choose_status(receipt)
    response.headers["Location"] = f"{router.prefix}/{accepted.upload_id}"
    return receipt


@router.get("/{upload_id}", responses=describe_errors(401, 403, 404, 422, 429, 503))
def show_receipt(
    caller: CanSendScans, upload_id: Annotated[UUID, Path()], intake: TheIntake
) -> Receipt:
    """Tell what came of an upload: its cases, its files, their verdicts."""
    return intake.describe(upload_id, caller, is_known=True)


async def _wait(intake: Intake, accepted: Accepted, wait_s: float) -> None:
    """Wait until all cases are settled, or the time is over."""
    if wait_s <= 0:
        return
    watched = [asyncio.wrap_future(intake.line.watch(case)) for case in accepted.case_ids]
    if watched:
        await asyncio.wait(watched, timeout=wait_s)


def _choose_status(receipt: Receipt) -> int:
    if receipt.is_known:
        return 200
    return 201 if receipt.is_done else 202


def _find_length(request: Request) -> int:
    return int(request.headers.get("content-length", "0"))
