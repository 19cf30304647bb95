"""Routes of cases: the worklist, a case, its files, its history, its reviews."""

from collections.abc import Callable, Iterator
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session

from app.audit.service import Action
from app.auth.access import (
    Access,
    CanDeleteCases,
    CanExportCases,
    CanReadCases,
    CanReviewCases,
    get_access,
)
from app.auth.permissions import Permission
from app.cases.history import read_history
from app.cases.orders import NewReview
from app.cases.references import find_references
from app.cases.repository import CaseRepository
from app.cases.reviews import review_case, undo_review
from app.cases.schemas import (
    CaseDetail,
    CaseList,
    CaseSelection,
    CaseView,
    History,
    NewReviewBody,
    PlainSelection,
    ReferenceList,
    ReferenceView,
    ReviewView,
)
from app.cases.service import delete_case
from app.cases.states import ReviewState
from app.cases.viewing import ViewLog
from app.cases.worklist import MAX_PAGE, CaseFilter, Page, Sort
from app.error_handlers import describe_errors
from app.errors import InvalidRequest
from app.storage.opening import Storage, get_storage

router = APIRouter(prefix="/api/v1/cases", tags=["cases"])

_ERRORS = (401, 403, 404, 422, 429, 503)

FindCandidate = Callable[[Session], str | None]


class PageOrder(BaseModel):
    """Order and page of the worklist."""

    sort: Literal["score", "time", "age", "modality"] = "time"
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)
    cursor: Annotated[str, Field(max_length=512)] | None = None

    def build_page(self, wanted: CaseFilter) -> Page:
        """Give the page that is asked for."""
        return Page(wanted, Sort(self.sort), self.limit, self.cursor)


class CaseQuery(PlainSelection, PageOrder):
    """Filters, order and page in an address."""


class CaseSearch(CaseSelection, PageOrder):
    """Filters, search text, order and page in a body."""


def get_views(request: Request) -> ViewLog:
    """Give the log of views of the application that answers."""
    views: ViewLog = request.app.state.views
    return views


def get_candidate_finder(request: Request) -> FindCandidate:
    """Give what tells the digest of the candidate: bundles are no business of cases."""
    finder: FindCandidate = request.app.state.find_candidate
    return finder


CandidateFinder = Annotated[FindCandidate, Depends(get_candidate_finder)]
TheStorage = Annotated[Storage, Depends(get_storage)]
Gate = Annotated[Access, Depends(get_access)]
Views = Annotated[ViewLog, Depends(get_views)]


@router.get("", responses=describe_errors(400, 401, 403, 422, 429, 503))
def list_cases(
    _caller: CanReadCases, query: Annotated[CaseQuery, Query()], storage: TheStorage
) -> CaseList:
    """Give a page of the worklist; the next one is asked for by its cursor.

    To search by text is a matter of `POST /cases/search`: an address holds no patient data.
    """
    return _list_page(storage, query.build_page(query.build_filter()))


@router.post("/search", responses=describe_errors(400, 401, 403, 422, 429, 503))
def search_cases(_caller: CanReadCases, order: CaseSearch, storage: TheStorage) -> CaseList:
    """Give a page of the worklist, searched by text too; changes nothing."""
    return _list_page(storage, order.build_page(order.build_filter()))


@router.get("/{case_id}", responses=describe_errors(*_ERRORS))
def show_case(caller: CanReadCases, case_id: UUID, storage: TheStorage, views: Views) -> CaseDetail:
    """Give a case with its files and the finding that is shown."""
    with storage.database.reading() as session:
        repository = CaseRepository(session)
        case = repository.get_case(case_id)
        digest = case.bundle_digest
        finding = None if digest is None else repository.find_finding(case_id, digest)
        detail = CaseDetail.build(case, repository.list_instances(case_id), finding)
    views.note(caller.id, case_id, Action.CASE_VIEWED, "case")
    return detail


@router.get("/{case_id}/history", responses=describe_errors(*_ERRORS))
def show_history(
    caller: CanReadCases,
    case_id: UUID,
    storage: TheStorage,
    views: Views,
    find_candidate: CandidateFinder,
) -> History:
    """Give all findings under all bundles, all reviews, and what the audit trail tells."""
    with storage.database.reading() as session:
        hidden = None if caller.may(Permission.MANAGE_BUNDLES) else find_candidate(session)
        history = History.of(read_history(session, case_id, hidden))
    views.note(caller.id, case_id, Action.CASE_VIEWED, "history")
    return history


@router.get("/{case_id}/references", responses=describe_errors(*_ERRORS))
def list_references(
    _caller: CanReadCases,
    case_id: UUID,
    storage: TheStorage,
    limit: Annotated[int, Query(ge=1, le=20)] = 3,
) -> ReferenceList:
    """Give typical cases that readers confirmed, those that the bundle redrew most alike first."""
    with storage.database.reading() as session:
        found = find_references(session, CaseRepository(session).get_case(case_id), limit)
        return ReferenceList(
            items=[
                ReferenceView(
                    case=each.case.id,
                    distance=each.distance,
                    score=each.case.score,
                    received_at=each.case.received_at,
                    slice_count=each.case.slice_count,
                )
                for each in found
            ]
        )


@router.get(
    "/{case_id}/original",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "The bytes as they were handed in.",
            "content": {"application/octet-stream": {}},
        },
        **describe_errors(*_ERRORS),
    },
)
def download_original(
    caller: CanExportCases,
    case_id: UUID,
    storage: TheStorage,
    views: Views,
    file: Annotated[int, Query(ge=0, le=100_000, description="Position of the file.")] = 0,
) -> StreamingResponse:
    """Give one file of a case as it was handed in."""
    with storage.database.reading() as session:
        CaseRepository(session).get_case(case_id)
        files = CaseRepository(session).list_instances(case_id)
    if file >= len(files):
        raise InvalidRequest(f"the case has {len(files)} files, counted from 0")
    views.note(caller.id, case_id, Action.CASE_EXPORTED, "original")
    return StreamingResponse(
        _read_after_first(storage, files[file].sha256),
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{files[file].sha256}"',
            "Content-Length": str(files[file].size_bytes),
        },
    )


@router.delete("/{case_id}", status_code=204, responses=describe_errors(*_ERRORS))
def remove_case(caller: CanDeleteCases, case_id: UUID, access: Gate) -> None:
    """Delete a case with all that belongs to it; its bytes follow with the next collection."""
    with access.database.transaction() as session:
        delete_case(session, case_id, caller.id, access.clock.now())


@router.post("/{case_id}/reviews", status_code=201, responses=describe_errors(*_ERRORS))
def make_review(
    caller: CanReviewCases, case_id: UUID, body: NewReviewBody, access: Gate
) -> ReviewView:
    """Confirm or dismiss the finding that is shown, or say that one cannot tell."""
    new = NewReview(ReviewState(body.decision), body.note, caller.id, caller.name)
    with access.database.transaction() as session:
        return ReviewView.of(review_case(session, case_id, new, access.clock.now()))


@router.delete("/{case_id}/reviews/{review_id}", responses=describe_errors(*_ERRORS))
def take_review_back(
    caller: CanReviewCases, case_id: UUID, review_id: UUID, access: Gate
) -> ReviewView:
    """Undo a review; it stays in the history."""
    with access.database.transaction() as session:
        now = access.clock.now()
        return ReviewView.of(undo_review(session, case_id, review_id, caller.id, now))


def _list_page(storage: Storage, wanted: Page) -> CaseList:
    with storage.database.reading() as session:
        page = CaseRepository(session).list_page(wanted)
        return CaseList(items=[CaseView.of(row) for row in page.rows], next_cursor=page.next_cursor)


def _read_after_first(storage: Storage, sha256: str) -> Iterator[bytes]:
    """Give the pieces of a blob, the first one read before anything is answered."""
    pieces = storage.blobs.read_chunks(sha256)
    first = next(pieces, b"")

    def give() -> Iterator[bytes]:
        yield first
        yield from pieces

    return give()
