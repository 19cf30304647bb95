"""Routes of the worklist page; what people search for travels in the body alone."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field, ValidationError

from app.auth.access import CanReadCases
from app.cases.repository import CaseRepository
from app.cases.routes import CaseSearch
from app.cases.worklist import Page
from app.errors import InvalidRequest
from app.web.pages import Pages, ThePages
from app.web.searches import KeptSearch, TheSearch
from app.web.worklist import (
    KEPT_SEARCH,
    PAGE_SIZE,
    SHOWN_FILTERS,
    WorklistView,
    build_worklist,
    link_page,
)

router = APIRouter(include_in_schema=False)

FIRST_FILTERS = {"review": "none", "sort": "score"}

Short = Annotated[str, Field(max_length=128)]


class RowsForm(BaseModel):
    """The filter form of the worklist; empty fields let all pass."""

    verdict: Short = ""
    review: Short = ""
    status: Short = ""
    modality: Short = ""
    site: Short = ""
    bundle: Short = ""
    received_from: Short = ""
    received_before: Short = ""
    sort: Short = "score"
    text: Short = ""
    cursor: Annotated[str, Field(max_length=512)] = ""


@router.get("/worklist")
def show_worklist(
    caller: CanReadCases, request: Request, pages: ThePages, search: TheSearch
) -> HTMLResponse:
    """Show the cases, flagged ones first."""
    filters = choose_filters(request.query_params)
    view = _list(pages, filters, find_text(filters, search), "")
    pages.note_page(caller, "worklist")
    return pages.show(request, caller, "worklist.html.j2", "Worklist", view=view)


@router.post("/worklist/rows")
def show_rows(
    caller: CanReadCases, pages: ThePages, search: TheSearch, form: Annotated[RowsForm, Form()]
) -> HTMLResponse:
    """Show another page of the list, other filters, or what was searched for."""
    filters = {name: value for name, value in form if name in SHOWN_FILTERS and value}
    if form.text.strip() and search.is_possible:
        search.keep(form.text.strip())
        filters[KEPT_SEARCH] = "kept"
    view = _list(pages, filters, form.text, form.cursor)
    pages.note_page(caller, "worklist")
    answer = pages.show_part("worklist_rows.html.j2", view=view)
    answer.headers["HX-Push-Url"] = link_page("/worklist", {"all": "1", **filters})
    return answer


def choose_filters(given: Mapping[str, str]) -> dict[str, str]:
    """Give the filters of the list; those of a first visit where none was named."""
    chosen = {name: given[name][:128] for name in SHOWN_FILTERS if given.get(name)}
    return {"sort": "score", **chosen} if chosen or "all" in given else dict(FIRST_FILTERS)


def find_text(filters: Mapping[str, str], search: KeptSearch) -> str:
    """Give what the list was searched for, where its address says that something is kept."""
    return search.find() if KEPT_SEARCH in filters and search.is_possible else ""


def build_page(filters: Mapping[str, str], text: str, cursor: str, limit: int = PAGE_SIZE) -> Page:
    """Give the page of the list that is asked for.

    Raises:
        InvalidRequest: a filter is none of ours.
    """
    values: dict[str, Any] = {**filters, "limit": limit}
    values.pop(KEPT_SEARCH, None)
    if text.strip():
        values["text"] = text.strip()
    if cursor:
        values["cursor"] = cursor
    try:
        order = CaseSearch(**values)
    except ValidationError:
        raise InvalidRequest("a filter of the worklist cannot be used") from None
    return order.build_page(order.build_filter())


def _list(pages: Pages, filters: Mapping[str, str], text: str, cursor: str) -> WorklistView:
    with pages.storage.database.reading() as session:
        page = CaseRepository(session).list_page(build_page(filters, text, cursor))
        return build_worklist(page, filters, text, pages.clock.now(), is_first=not cursor)
