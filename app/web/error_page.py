"""An error as a page for people: what happened, what to do, where to go on."""

from http import HTTPStatus
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.error_handlers import ErrorDetail
from app.web.pages import Pages, get_pages

SIGN_IN = "/sign-in"

_TITLES = {
    400: "This address cannot be understood",
    403: "You may not do this",
    404: "There is nothing here",
    409: "That does not fit any more",
    422: "Something was filled in wrong",
    429: "Too many requests",
    503: "Not possible at the moment",
    507: "There is no room left",
}


def draw_error(request: Request, detail: ErrorDetail, status: int) -> Response:
    """Answer with the error page, a notice inside the present page, or the way to sign in."""
    pages = get_pages(request)
    is_part = "hx-request" in request.headers
    if status == HTTPStatus.UNAUTHORIZED:
        return _lead_to_sign_in(request, is_part=is_part)
    if is_part:
        answer = pages.show_part("notice.html.j2", error=detail, title=_find_title(status))
        answer.status_code = status
        answer.headers["HX-Retarget"] = "#notice"
        answer.headers["HX-Reswap"] = "innerHTML"
        return answer
    return _draw_page(pages, request, detail, status)


def _lead_to_sign_in(request: Request, *, is_part: bool) -> Response:
    if is_part:
        answer: Response = Response(status_code=HTTPStatus.UNAUTHORIZED)
        answer.headers["HX-Redirect"] = f"{SIGN_IN}?ended=1"
        return answer
    wanted = request.url.path if request.method == "GET" else "/"
    address = SIGN_IN if wanted == "/" else f"{SIGN_IN}?next={quote(wanted, safe='/')}"
    return RedirectResponse(address, status_code=HTTPStatus.SEE_OTHER)


def _draw_page(pages: Pages, request: Request, detail: ErrorDetail, status: int) -> Response:
    title = _find_title(status)
    frame = pages.build_frame(request, None, title)
    text = pages.drawing.draw("error.html.j2", frame=frame, error=detail, title=title)
    return HTMLResponse(text, status_code=status)


def _find_title(status: int) -> str:
    return _TITLES.get(status, "Something went wrong")
