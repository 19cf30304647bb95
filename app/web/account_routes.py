"""Routes of the account page: who is signed in, and another password for local users."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field, SecretStr

from app.auth.access import Access, IsKnown, get_access
from app.auth.permissions import Principal
from app.auth.routes import renew_password
from app.auth.schemas import PasswordOrder
from app.auth.service import has_own_password
from app.errors import InvalidCredentials, InvalidRequest, WeakPassword
from app.web.pages import ThePages

router = APIRouter(prefix="/account", include_in_schema=False)

Gate = Annotated[Access, Depends(get_access)]
Secret = Annotated[SecretStr, Field(max_length=1024)]


class PasswordForm(BaseModel):
    """What is filled in to change the password."""

    current: Secret
    new: Secret
    again: Secret


@router.get("")
def show_account(caller: IsKnown, request: Request, pages: ThePages, access: Gate) -> HTMLResponse:
    """Show who is signed in, and the form where this service keeps the password."""
    pages.note_page(caller, "account")
    token = request.cookies.get(access.cookies.session_name, "")
    with access.database.reading() as session:
        has_password = has_own_password(session, token)
    view = _describe(caller) | {"has_password": has_password}
    return pages.show(request, caller, "account.html.j2", "Account", **view)


@router.post("/password")
def change_password(
    caller: IsKnown,
    request: Request,
    pages: ThePages,
    access: Gate,
    form: Annotated[PasswordForm, Form()],
) -> HTMLResponse:
    """Change the password; gives the form again with what came of it."""
    try:
        if form.new != form.again:
            raise InvalidRequest("The two new passwords differ.")
        order = PasswordOrder(current_password=form.current, new_password=form.new)
        renew_password(access, request, caller, order)
    except (InvalidCredentials, InvalidRequest, WeakPassword) as error:
        is_wrong = isinstance(error, InvalidCredentials)
        note = "The current password is wrong." if is_wrong else str(error)
        answer = pages.show_part("password_form.html.j2", **_describe(caller, note))
        answer.status_code = InvalidRequest.status
        return answer
    return pages.show_part("password_form.html.j2", **_describe(caller, is_done=True))


def _describe(caller: Principal, note: str = "", *, is_done: bool = False) -> dict[str, object]:
    return {"name": caller.name, "note": note, "is_done": is_done}
