"""The route of the upload page; the files themselves go to POST /api/v1/scans."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.auth.access import CanSendScans
from app.auth.permissions import Permission
from app.web.pages import ThePages

router = APIRouter(include_in_schema=False)


@router.get("/upload")
def show_upload(caller: CanSendScans, request: Request, pages: ThePages) -> HTMLResponse:
    """Show where files can be dropped."""
    pages.note_page(caller, "upload")
    may_read = caller.may(Permission.READ_CASES)
    return pages.show(request, caller, "upload.html.j2", "Upload", may_read=may_read)
