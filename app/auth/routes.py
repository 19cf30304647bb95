"""Routes of access, under /api/v1: setup, sessions, passwords, login through a provider."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.auth.access import (
    NOBODY,
    Access,
    IsKnown,
    Public,
    find_address,
    get_access,
)
from app.auth.oidc import OidcProvider
from app.auth.permissions import Principal
from app.auth.repository import AccessRepository
from app.auth.schemas import Caller, LoginOrder, PasswordOrder, SetupOrder
from app.auth.service import (
    change_password,
    check_own_password,
    check_password,
    close_session,
    hold_user,
    identify_session,
    keep_oidc_user,
    open_session,
    set_up_admin,
)
from app.auth.tables import LoginAttemptRow
from app.auth.tokens import digest_token
from app.error_handlers import describe_errors
from app.errors import (
    AccessError,
    InvalidCredentials,
    LoginRefused,
    PermissionDenied,
    RouteNotFound,
)

LOGIN_LIFE_S = 600

router = APIRouter(prefix="/api/v1", tags=["access"])
Gate = Annotated[Access, Depends(get_access)]
Text = Annotated[str, Query(max_length=2048)]


@router.post("/setup", status_code=201, responses=describe_errors(401, 409, 422, 429))
def set_up(
    order: SetupOrder, request: Request, response: Response, access: Gate, _public: Public
) -> Caller:
    """Make the first administrator with the setup secret, and log in."""
    return _enter(access, response, enter_by_setup(access, request, order))


@router.post("/session", status_code=201, responses=describe_errors(401, 422, 429))
def log_in(
    order: LoginOrder, request: Request, response: Response, access: Gate, _public: Public
) -> Caller:
    """Log in as a local user; the answer sets the session's cookie."""
    return _enter(access, response, enter_by_password(access, request, order))


@router.get("/session", responses=describe_errors(401, 403, 429))
def show_caller(caller: IsKnown) -> Caller:
    """Tell who is calling, and the CSRF token of the session."""
    return Caller.of(caller)


@router.delete("/session", status_code=204, responses=describe_errors(401, 403, 429))
def log_out(caller: IsKnown, request: Request, response: Response, access: Gate) -> None:
    """End the session."""
    leave(access, request, response, caller)


@router.post("/password", status_code=204, responses=describe_errors(401, 403, 409, 422, 429, 503))
def change_own_password(
    order: PasswordOrder, request: Request, caller: IsKnown, access: Gate
) -> None:
    """Change the password of the local user who calls; other sessions of theirs end."""
    renew_password(access, request, caller, order)


@router.get(
    "/login",
    status_code=303,
    response_class=RedirectResponse,
    responses=describe_errors(403, 404, 429),
)
def begin_login(request: Request, access: Gate, _public: Public) -> RedirectResponse:
    """Lead the browser to the identity provider."""
    access.failures.check(find_address(request))
    start = _get_provider(access).begin()
    now = access.clock.now()
    with access.database.transaction() as session:
        AccessRepository(session).end_old_attempts(now - access.life.whole)
        AccessRepository(session).add(
            LoginAttemptRow(
                state_sha256=digest_token(start.state),
                nonce=start.nonce,
                code_verifier=start.code_verifier,
                created_at=now,
            )
        )
    answer = RedirectResponse(start.url, status_code=303)
    _set_cookie(access, answer, access.cookies.login_name, start.state, LOGIN_LIFE_S)
    return answer


@router.get(
    "/login/callback",
    status_code=303,
    response_class=RedirectResponse,
    responses=describe_errors(401, 403, 404, 422, 429),
)
def finish_login(
    request: Request, access: Gate, _public: Public, state: Text, code: Text = ""
) -> RedirectResponse:
    """Take the identity provider's answer and log in."""
    access.failures.check(find_address(request))
    try:
        token = _trade(access, request, state, code)
    except AccessError as error:
        access.refuse(request, NOBODY, error)
        raise
    answer = RedirectResponse("/", status_code=303)
    answer.delete_cookie(access.cookies.login_name, secure=access.cookies.is_secure)
    set_session(access, answer, token)
    return answer


def enter_by_setup(access: Access, request: Request, order: SetupOrder) -> str:
    """Make the first administrator and give the token of a new session.

    Raises:
        InvalidCredentials: the setup secret is wrong.
        SetupClosed: there is an administrator already.
        WeakPassword: the password is too short, too long, a repetition or common.
    """
    access.failures.check(find_address(request))
    password_hash = access.passwords.hash(order.password.get_secret_value())
    now = access.clock.now()
    secret = order.setup_secret.get_secret_value()
    try:
        with access.database.transaction() as session:
            user = set_up_admin(session, secret, order.name, password_hash, now)
            return open_session(session, user, None, access.life, now)
    except InvalidCredentials as error:
        access.refuse(request, NOBODY, error)
        raise


def enter_by_password(access: Access, request: Request, order: LoginOrder) -> str:
    """Give the token of a new session of a local user; one brought along is ended.

    Raises:
        InvalidCredentials: name or password is wrong.
    """
    access.failures.check(find_address(request))
    old = request.cookies.get(access.cookies.session_name)
    password = order.password.get_secret_value()
    try:
        with access.database.reading() as reading:
            known = check_password(reading, access.passwords, order.name, password)
        with access.database.transaction() as session:
            user = hold_user(session, known)
            return open_session(session, user, old, access.life, access.clock.now())
    except InvalidCredentials as error:
        access.refuse(request, NOBODY, error)
        raise


def renew_password(
    access: Access, request: Request, caller: Principal, order: PasswordOrder
) -> None:
    """Give the caller another password; a wrong present one counts as a failed login.

    Raises:
        PermissionDenied: the caller is a tool with a key.
        PasswordElsewhere: an identity provider keeps the password.
        InvalidCredentials: the present password is wrong.
        WeakPassword: the new one is too short, too long, a repetition or common.
    """
    access.failures.check(find_address(request))
    token = request.cookies.get(access.cookies.session_name)
    try:
        if token is None or not caller.is_user:
            raise PermissionDenied
        current = order.current_password.get_secret_value()
        with access.database.reading() as reading:
            known = check_own_password(reading, access.passwords, token, current)
        password_hash = access.passwords.hash(order.new_password.get_secret_value())
        with access.database.transaction() as session:
            change_password(session, known, password_hash, token, access.clock.now())
    except (PermissionDenied, InvalidCredentials) as error:
        access.refuse(request, caller.id, error)
        raise


def leave(access: Access, request: Request, response: Response, caller: Principal) -> None:
    """End the session that a request came with."""
    token = request.cookies.get(access.cookies.session_name)
    if token is not None and caller.is_user:
        with access.database.transaction() as session:
            close_session(session, token, caller.id, access.clock.now())
    response.delete_cookie(access.cookies.session_name, secure=access.cookies.is_secure)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'


def set_session(access: Access, response: Response, token: str) -> None:
    """Let the browser keep the token of its session."""
    life_s = int(access.life.whole.total_seconds())
    _set_cookie(access, response, access.cookies.session_name, token, life_s)


def _trade(access: Access, request: Request, state: str, code: str) -> str:
    if request.cookies.get(access.cookies.login_name) != state:
        raise LoginRefused("this login was not begun in this browser")
    now = access.clock.now()
    with access.database.transaction() as session:
        attempt = AccessRepository(session).take_login_attempt(digest_token(state))
    if attempt is None or (now - attempt.created_at).total_seconds() > LOGIN_LIFE_S:
        raise LoginRefused("this login is over: begin again")
    who = _get_provider(access).finish(code, attempt.nonce, attempt.code_verifier)
    old = request.cookies.get(access.cookies.session_name)
    with access.database.transaction() as session:
        user = keep_oidc_user(session, (who.issuer, who.subject, who.name), who.role, now)
        return open_session(session, user, old, access.life, now)


def _get_provider(access: Access) -> OidcProvider:
    if access.oidc is None:
        raise RouteNotFound
    return access.oidc


def _enter(access: Access, response: Response, token: str) -> Caller:
    set_session(access, response, token)
    with access.database.reading() as session:
        return Caller.of(identify_session(session, token, access.life, access.clock.now()))


def _set_cookie(access: Access, response: Response, name: str, value: str, life_s: int) -> None:
    # Lax, not Strict: the provider's redirect back to us must carry the login's cookie.
    response.set_cookie(
        name,
        value,
        max_age=life_s,
        path="/",
        secure=access.cookies.is_secure,
        httponly=True,
        samesite="lax",
    )
