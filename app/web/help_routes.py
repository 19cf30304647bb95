"""The route of the help page: what the words mean, and every key."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.auth.access import IsKnown
from app.web.pages import ThePages

router = APIRouter(include_in_schema=False)


@router.get("/help")
def show_help(caller: IsKnown, request: Request, pages: ThePages) -> HTMLResponse:
    """Show what a reader needs to know."""
    pages.note_page(caller, "help")
    return pages.show(request, caller, "help.html.j2", "Help")
