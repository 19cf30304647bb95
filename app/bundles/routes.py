"""Routes of bundles: which there are, a new one, which is live, which scores beside it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from app.auth.access import CanManageBundles, CanReadBundles
from app.bundles.operation import BundleOperator
from app.bundles.reports import MAX_REPORT_BYTES, REPORT_HEADERS, keep_report, read_report
from app.bundles.repository import BundleRepository
from app.bundles.schemas import BundleCard, BundleList, BundleView, ReportReceipt
from app.error_handlers import describe_errors
from app.errors import BodyTooLarge
from app.storage.opening import Storage, get_storage
from models.bundle import layout

router = APIRouter(prefix="/api/v1/bundles", tags=["bundles"])

_ERRORS = (401, 403, 404, 409, 422, 429, 503)
_ZIP = {
    "required": True,
    "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
}
_HTML = {"text/html": {"schema": {"type": "string"}}}


def get_operator(request: Request) -> BundleOperator:
    """Give the bundle operator of the application that answers."""
    operator: BundleOperator = request.app.state.bundles
    return operator


Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
TheOperator = Annotated[BundleOperator, Depends(get_operator)]
TheStorage = Annotated[Storage, Depends(get_storage)]


@router.get("", responses=describe_errors(401, 403, 429, 503))
def list_bundles(_caller: CanReadBundles, storage: TheStorage) -> BundleList:
    """List all bundles and what each is used for."""
    with storage.database.reading() as session:
        rows = BundleRepository(session).list_all()
        return BundleList(items=[BundleView.of(row) for row in rows])


@router.post(
    "",
    status_code=201,
    responses=describe_errors(400, 401, 403, 413, 415, 422, 429, 503, 507),
    openapi_extra={"requestBody": _ZIP},
)
async def add_bundle(
    caller: CanManageBundles, request: Request, storage: TheStorage, operator: TheOperator
) -> BundleView:
    """Hand in the zip of a bundle; it is registered once it reproduces its own scores."""
    storage.watermark.check()
    with await run_in_threadpool(storage.blobs.draft) as draft:
        async for chunk in request.stream():
            await run_in_threadpool(draft.write, chunk)
        return BundleView.of(await run_in_threadpool(operator.add, draft.flush(), caller.id))


@router.get("/{digest}", responses=describe_errors(*_ERRORS))
def show_bundle(_caller: CanReadBundles, digest: Digest, storage: TheStorage) -> BundleView:
    """Give one bundle."""
    with storage.database.reading() as session:
        return BundleView.of(BundleRepository(session).get(digest))


@router.get("/{digest}/card", responses=describe_errors(*_ERRORS))
def show_card(
    _caller: CanReadBundles, digest: Digest, storage: TheStorage, operator: TheOperator
) -> BundleCard:
    """Give the bundle's card: what it is for, what it was made from, what it promises."""
    with storage.database.reading() as session:
        BundleRepository(session).get(digest)
    return BundleCard(digest=digest, markdown=operator.folder.read_text(digest, layout.CARD))


@router.get(
    "/{digest}/report",
    response_class=Response,
    responses={
        200: {"description": "A page that runs nothing and loads nothing.", "content": _HTML},
        **describe_errors(*_ERRORS),
    },
)
def show_report(_caller: CanReadBundles, digest: Digest, storage: TheStorage) -> Response:
    """Give the bundle's evaluation report, as it was handed in."""
    content = read_report(storage, digest)
    return Response(content, media_type="text/html", headers=dict(REPORT_HEADERS))


@router.put(
    "/{digest}/report",
    responses=describe_errors(400, 413, 415, *_ERRORS, 507),
    openapi_extra={"requestBody": {"required": True, "content": _HTML}},
)
async def add_report(
    caller: CanManageBundles,
    digest: Digest,
    request: Request,
    storage: TheStorage,
    operator: TheOperator,
) -> ReportReceipt:
    """Hand in the page that `aegle evaluate --report` wrote; it takes the place of the one before.

    It must name the bundle's digest. Who may read bundles sees it, with the scans that it shows.
    """
    storage.watermark.check()
    with await run_in_threadpool(storage.blobs.draft) as draft:
        size_bytes = 0
        async for chunk in request.stream():
            size_bytes += len(chunk)
            if size_bytes > MAX_REPORT_BYTES:
                raise BodyTooLarge
            await run_in_threadpool(draft.write, chunk)
        at = await run_in_threadpool(keep_report, storage, digest, draft, caller.id, operator.clock)
    return ReportReceipt(digest=digest, added_at=at)


@router.post("/{digest}/activate", responses=describe_errors(*_ERRORS))
def activate_bundle(caller: CanManageBundles, digest: Digest, operator: TheOperator) -> BundleView:
    """Make a bundle live: it is loaded first, then every new batch is scored under it."""
    return BundleView.of(operator.activate(digest, caller.id))


@router.post("/{digest}/candidate", responses=describe_errors(*_ERRORS))
def shadow_bundle(caller: CanManageBundles, digest: Digest, operator: TheOperator) -> BundleView:
    """Let a bundle score beside the live one; its findings are shown to administrators alone."""
    return BundleView.of(operator.shadow(digest, caller.id))


@router.delete("/{digest}/candidate", responses=describe_errors(*_ERRORS))
def retire_bundle(caller: CanManageBundles, digest: Digest, operator: TheOperator) -> BundleView:
    """End the scoring beside the live bundle."""
    return BundleView.of(operator.retire(digest, caller.id))


@router.post("/rollback", responses=describe_errors(401, 403, 409, 422, 429, 503))
def roll_back(caller: CanManageBundles, operator: TheOperator) -> BundleView:
    """Make the bundle live again that was live before."""
    return BundleView.of(operator.roll_back(caller.id))
