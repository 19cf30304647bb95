"""Routes of the page of a case, its reviews, and the way to the next one."""

from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from app.audit.service import Action
from app.auth.access import CanReadCases, CanReviewCases
from app.auth.permissions import Principal
from app.cases.orders import NewReview
from app.cases.repository import CaseRepository
from app.cases.reviews import review_case, undo_review
from app.cases.states import CaseState, ReviewState
from app.cases.worklist import begin_after
from app.web.case_page import read_case, read_reviews
from app.web.pages import Pages, ThePages
from app.web.reading import Reader
from app.web.references import build_references, find_hottest
from app.web.searches import TheSearch
from app.web.worklist import SHOWN_FILTERS, link_case, link_page
from app.web.worklist_routes import build_page, find_text

router = APIRouter(prefix="/cases/{case_id}", include_in_schema=False)

Decision = Annotated[Literal["confirmed", "dismissed", "unsure"], Form()]
Note = Annotated[str, Form(max_length=4000)]


def read_filters(request: Request) -> dict[str, str]:
    """Give the filters of the list that a case is read in."""
    given = request.query_params
    return {name: given[name][:128] for name in SHOWN_FILTERS if given.get(name)}


Filters = Annotated[dict[str, str], Depends(read_filters)]


@router.get("")
def show_case(
    caller: CanReadCases, case_id: UUID, request: Request, pages: ThePages, filters: Filters
) -> HTMLResponse:
    """Show a case with its viewer and its reviews."""
    reader = _build_reader(pages, caller, filters)
    with pages.storage.database.reading() as session:
        view = read_case(session, case_id, reader)
    pages.views.note(caller.id, case_id, Action.CASE_VIEWED, "page")
    return pages.show(request, caller, "case.html.j2", "Case", view=view)


@router.get("/waiting")
def show_progress(_caller: CanReadCases, case_id: UUID, pages: ThePages) -> Response:
    """Tell a page that waits when its case is scored or set aside."""
    with pages.storage.database.reading() as session:
        state = CaseRepository(session).get_case(case_id).state
    is_waiting = state in {CaseState.QUEUED, CaseState.RECEIVING}
    headers = {} if is_waiting else {"HX-Refresh": "true"}
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)


@router.get("/reviews")
def show_reviews(caller: CanReadCases, case_id: UUID, pages: ThePages) -> HTMLResponse:
    """Show what people said since."""
    return _show_reviews(pages, caller, case_id)


@router.get("/references")
def show_references(caller: CanReadCases, case_id: UUID, pages: ThePages) -> HTMLResponse:
    """Show confirmed typical cases that are like this one."""
    reader = _build_reader(pages, caller, {})
    with pages.storage.database.reading() as session:
        case = CaseRepository(session).get_case(case_id)
        lines = build_references(session, case, find_hottest(session, case), reader)
    return pages.show_part("references.html.j2", references=lines)


@router.post("/reviews")
def make_review(
    caller: CanReviewCases, case_id: UUID, pages: ThePages, decision: Decision, note: Note = ""
) -> HTMLResponse:
    """Keep what the reader says of the finding."""
    new = NewReview(ReviewState(decision), note.strip(), caller.id, caller.name)
    with pages.storage.database.transaction() as session:
        review_case(session, case_id, new, pages.clock.now())
    return _show_reviews(pages, caller, case_id)


@router.post("/reviews/{review_id}/undo")
def take_review_back(
    caller: CanReviewCases, case_id: UUID, review_id: UUID, pages: ThePages
) -> HTMLResponse:
    """Undo a review."""
    with pages.storage.database.transaction() as session:
        undo_review(session, case_id, review_id, caller.id, pages.clock.now())
    return _show_reviews(pages, caller, case_id)


@router.get("/next")
def go_on(
    _caller: CanReadCases, case_id: UUID, pages: ThePages, filters: Filters, search: TheSearch
) -> Response:
    """Lead to the next case of the list that nobody has reviewed."""
    found = _find_next(pages, case_id, filters, find_text(filters, search))
    address = link_case(found, filters) if found else link_page("/worklist", filters)
    return RedirectResponse(address, status_code=HTTPStatus.SEE_OTHER)


def _find_next(pages: Pages, case_id: UUID, filters: dict[str, str], text: str) -> UUID | None:
    """Find the next unreviewed case behind this one, else the first of the list."""
    wanted = {"sort": "score", "status": CaseState.SCORED.value, **filters, "review": "none"}
    page = build_page(wanted, text, "", limit=2)
    with pages.storage.database.reading() as session:
        repository = CaseRepository(session)
        behind = repository.list_page(begin_after(page, repository.get_case(case_id))).rows
        rows = [*behind, *repository.list_page(page).rows]
        return next((row.id for row in rows if row.id != case_id), None)


def _show_reviews(pages: Pages, caller: Principal, case_id: UUID) -> HTMLResponse:
    reader = _build_reader(pages, caller, {})
    with pages.storage.database.reading() as session:
        view = read_reviews(session, case_id, reader)
    return pages.show_part("reviews.html.j2", reviews=view)


def _build_reader(pages: Pages, caller: Principal, filters: dict[str, str]) -> Reader:
    return Reader(caller, filters, pages.bundles, pages.clock.now())
