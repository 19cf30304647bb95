"""STOW-RS: DICOM objects are handed in over HTTP, and a study is told to be complete."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from app.auth.access import CanSendScans
from app.cases.states import Channel
from app.dicom.indexing import Delivery
from app.dicom.places import Places
from app.dicom.receiving import Receiver
from app.dicom.repository import DicomRepository
from app.dicom.stow_answer import RETRY_S, build_answer, choose_status
from app.dicom.stow_body import Event, Step, open_message
from app.dicom.stow_desk import StowDesk
from app.dicom.tasks import SeriesWatch
from app.error_handlers import describe_errors
from app.errors import InvalidStow

MEDIA_TYPE = "application/dicom+json"
ROOT = "/dicom-web"
_UID_FORM = r"^[0-9]+(\.[0-9]+)*$"
_STATUSES = (400, 401, 403, 413, 415, 422, 429, 500, 503, 507)
_CONTENT = {MEDIA_TYPE: {"schema": {"type": "object"}}}
_BODY = {
    "required": True,
    "content": {
        'multipart/related; type="application/dicom"': {
            "schema": {"type": "string", "format": "binary"}
        },
        "application/dicom": {"schema": {"type": "string", "format": "binary"}},
    },
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": _CONTENT, "description": "All objects are kept."},
    202: {"content": _CONTENT, "description": "Some are kept; each of the others has a reason."},
    409: {"content": _CONTENT, "description": "None is kept; each has a reason."},
    **describe_errors(*_STATUSES),
}

StudyUid = Annotated[str, Path(pattern=_UID_FORM, max_length=64, examples=["1.2.826.0.1"])]

router = APIRouter(prefix=ROOT, tags=["dicom"])


class Completion(BaseModel):
    """A study that is complete."""

    series: int = Field(description="How many of its series waited for more.", examples=[2])


async def get_receiver(request: Request) -> Receiver:
    """Give the receiver of the application that answers."""
    receiver: Receiver = request.app.state.receiver
    return receiver


TheReceiver = Annotated[Receiver, Depends(get_receiver)]


@router.post("/studies", responses=_RESPONSES, openapi_extra={"requestBody": _BODY})
async def store_objects(
    caller: CanSendScans, request: Request, receiver: TheReceiver
) -> JSONResponse:
    """Hand in DICOM objects of any studies (STOW-RS, PS3.18 10.5).

    What is told as stored is on disk. Scans are scored when their series is complete: when told
    so, or after the quiet time.
    """
    return await _store(request, receiver, Delivery(caller, Channel.DICOMWEB))


@router.post("/studies/{study}", responses=_RESPONSES, openapi_extra={"requestBody": _BODY})
async def store_study_objects(
    caller: CanSendScans, study: StudyUid, request: Request, receiver: TheReceiver
) -> JSONResponse:
    """Hand in DICOM objects of one study; objects of others are refused."""
    return await _store(request, receiver, Delivery(caller, Channel.DICOMWEB, study))


@router.post(
    "/studies/{study}/complete",
    status_code=202,
    responses=describe_errors(401, 403, 422, 429, 503),
)
def complete_study(
    _caller: CanSendScans, study: StudyUid, request: Request, receiver: TheReceiver
) -> Completion:
    """Tell that all of a study was sent: its series are scored now, without the quiet time."""
    watch: SeriesWatch = request.app.state.series_watch
    kept_uid = receiver.find_name(study)
    with receiver.storage.database.transaction() as session:
        count = DicomRepository(session).complete_study(kept_uid, request.app.clock.now())
    watch.wake()
    return Completion(series=count)


async def _store(request: Request, receiver: Receiver, delivery: Delivery) -> JSONResponse:
    message = open_message(request.headers.get("content-type", ""))
    receiver.storage.watermark.check(int(request.headers.get("content-length", "0")))
    places: Places = request.app.state.stow_places
    with places.hold():
        desk = StowDesk(receiver, delivery)
        try:
            if message is None:
                await desk.take(Event(Step.BEGIN))
            async for chunk in request.stream():
                desk.has_bytes = desk.has_bytes or bool(chunk)
                events = [Event(Step.CONTENT, chunk)] if message is None else message.feed(chunk)
                for event in events:
                    await desk.take(event)
            if message is None:
                await desk.take(Event(Step.END))
            desk.finish(is_whole=message is None or message.is_whole)
        finally:
            if desk.is_open:
                await run_in_threadpool(desk.discard)
    if not desk.has_bytes:
        raise InvalidStow("the body is empty")
    if not desk.receipts:
        raise InvalidStow("the message holds no part, or its boundary is another")
    root_url = f"{request.app.state.settings.find_public_url()}{ROOT}"
    status = choose_status(desk.receipts)
    headers = {"Retry-After": str(RETRY_S)} if status == 503 else {}
    return JSONResponse(
        build_answer(desk.receipts, root_url), status, headers, media_type=MEDIA_TYPE
    )
