"""Routes of the way in and out: sign-in, setup, sign-out, and the built scripts and styles."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from app.auth.access import Access, IsKnown, Public, get_access
from app.auth.permissions import Permission, Principal
from app.auth.repository import AccessRepository
from app.auth.routes import enter_by_password, enter_by_setup, leave, set_session
from app.auth.schemas import LoginOrder, SetupOrder
from app.errors import AccessError, CrossSiteRequest, NotAuthenticated
from app.web.error_page import SIGN_IN
from app.web.pages import Pages, ThePages

router = APIRouter(include_in_schema=False)

FOR_EVER = "public, max-age=31536000, immutable"

Gate = Annotated[Access, Depends(get_access)]
Address = Annotated[str, Query(max_length=256)]
Name = Annotated[str, Form(max_length=64)]
Secret = Annotated[str, Form(max_length=1024)]


@router.get("/static/{name}")
def send_asset(_public: Public, name: str, pages: ThePages) -> FileResponse:
    """Send a built file; its name changes with its content, so browsers keep it."""
    path = pages.drawing.assets.find(name)
    return FileResponse(path, headers={"Cache-Control": FOR_EVER})


@router.get("/")
def enter(_public: Public, request: Request, access: Gate, pages: ThePages) -> Response:
    """Lead to the first page that somebody can use."""
    pages.drawing.check()
    try:
        caller = access.identify(request)
    except AccessError:
        return RedirectResponse(SIGN_IN, status_code=HTTPStatus.SEE_OTHER)
    return RedirectResponse(_find_home(caller), status_code=HTTPStatus.SEE_OTHER)


@router.get(SIGN_IN)
def show_sign_in(
    _public: Public,
    request: Request,
    access: Gate,
    pages: ThePages,
    wanted: Annotated[str, Query(alias="next", max_length=256)] = "/",
    ended: bool = False,
) -> HTMLResponse:
    """Show how to sign in, or how to set the service up."""
    note = "Your session has ended. Sign in again." if ended else ""
    return _show_form(request, access, pages, wanted=_keep_inside(wanted), note=note)


@router.post(SIGN_IN)
def sign_in(
    _public: Public,
    request: Request,
    access: Gate,
    pages: ThePages,
    name: Name,
    password: Secret,
    wanted: Annotated[str, Form(alias="next", max_length=256)] = "/",
) -> Response:
    """Sign in with a password."""
    wanted = _keep_inside(wanted)
    try:
        check_origin(request)
        token = enter_by_password(access, request, LoginOrder(name=name, password=password))
    except (AccessError, ValueError) as error:
        return _refuse(_show_form(request, access, pages, wanted=wanted, note=_tell(error)), error)
    return _let_in(access, token, wanted)


@router.post("/setup")
def set_up(
    _public: Public,
    request: Request,
    access: Gate,
    pages: ThePages,
    setup_secret: Secret,
    name: Name,
    password: Secret,
) -> Response:
    """Make the first administrator."""
    try:
        check_origin(request)
        order = SetupOrder(setup_secret=setup_secret.strip(), name=name, password=password)
        token = enter_by_setup(access, request, order)
    except (AccessError, ValueError) as error:
        return _refuse(_show_form(request, access, pages, wanted="/", note=_tell(error)), error)
    return _let_in(access, token, "/")


@router.post("/sign-out", status_code=204)
def sign_out(caller: IsKnown, request: Request, response: Response, access: Gate) -> None:
    """End the session."""
    leave(access, request, response, caller)
    response.headers["HX-Redirect"] = SIGN_IN


def check_origin(request: Request) -> None:
    """Take a form only from our own pages; before the sign-in there is no CSRF token to ask for.

    Raises:
        CrossSiteRequest: the browser names another origin.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise CrossSiteRequest


def _show_form(
    request: Request, access: Access, pages: Pages, *, wanted: str, note: str
) -> HTMLResponse:
    with access.database.reading() as session:
        has_admin = AccessRepository(session).has_local_admin()
    return pages.show(
        request,
        None,
        "sign_in.html.j2",
        "Sign in",
        wanted=wanted,
        note=note,
        has_password=has_admin,
        has_provider=access.oidc is not None,
        is_setup=not has_admin and access.oidc is None,
    )


def _tell(error: Exception) -> str:
    if isinstance(error, AccessError):
        return str(error)
    return "A name has letters, digits, spaces and . @ : - only."


def _refuse(page: HTMLResponse, error: Exception) -> HTMLResponse:
    page.status_code = error.status if isinstance(error, AccessError) else 422
    return page


def _let_in(access: Access, token: str, wanted: str) -> Response:
    answer = RedirectResponse(wanted, status_code=HTTPStatus.SEE_OTHER)
    set_session(access, answer, token)
    return answer


def _keep_inside(address: str) -> str:
    """Give an address of our own pages, whatever was asked for."""
    is_ours = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_ours and address.isprintable() and "\\" not in address else "/"


def _find_home(caller: Principal) -> str:
    if caller.may(Permission.READ_CASES):
        return "/worklist"
    if caller.may(Permission.SEND_SCANS):
        return "/upload"
    raise NotAuthenticated
