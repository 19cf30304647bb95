"""A local user changes the password over the API."""

import pytest
from fastapi.testclient import TestClient

from app.audit.repository import AuditRepository
from app.auth.permissions import Role
from app.auth.service import keep_oidc_user, open_session
from app.auth.tokens import derive_csrf_token
from tests.app.auth.conftest import ADDRESS, PASSWORD

ROUTE = "/api/v1/password"
NEW = "four other words instead"
ORDER = {"current_password": PASSWORD, "new_password": NEW}
WRONG = ORDER | {"current_password": "wrong" * 4}


def log_in(service, password):
    browser = TestClient(service, base_url=ADDRESS)
    return browser, browser.post("/api/v1/session", json={"name": "admin", "password": password})


def list_actions(service):
    with service.state.storage.database.reading() as session:
        return [(row.action, row.detail) for row in AuditRepository(session).stream_entries()]


def test_the_new_password_alone_lets_in_and_the_change_is_written_down(admin, service):
    answer = admin.post(ROUTE, json=ORDER)

    assert (answer.status_code, answer.content) == (204, b"")
    assert list_actions(service)[-1] == ("password_changed", {})
    assert log_in(service, PASSWORD)[1].status_code == 401
    assert log_in(service, NEW)[1].status_code == 201


def test_other_sessions_end_and_the_own_one_goes_on(admin, service):
    other, _ = log_in(service, PASSWORD)
    before = other.get("/api/v1/session").status_code

    admin.post(ROUTE, json=ORDER)

    assert (before, other.get("/api/v1/session").status_code) == (200, 401)
    assert admin.get("/api/v1/session").status_code == 200


def test_guessing_the_present_password_is_slowed_down_and_written_down(admin, service):
    answers = [admin.post(ROUTE, json=WRONG) for _ in range(12)]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert answers[0].json()["error"]["code"] == "invalid_credentials"
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert ("access_refused", {"code": "invalid_credentials"}) in list_actions(service)
    assert admin.post(ROUTE, json=ORDER).status_code == 429


@pytest.mark.parametrize("new", ["short", "password1234567", "x" * 300])
def test_a_weak_new_password_changes_nothing(admin, service, new):
    answer = admin.post(ROUTE, json=ORDER | {"new_password": new})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "weak_password")
    assert log_in(service, PASSWORD)[1].status_code == 201


@pytest.mark.parametrize(
    "order", [{"new_password": NEW}, ORDER | {"name": "other"}, WRONG | {"new_password": 1}]
)
def test_an_order_of_another_form_is_refused(admin, order):
    assert admin.post(ROUTE, json=order).json()["error"]["code"] == "invalid_request"


def test_users_of_a_provider_are_told_to_go_there(browser, service, clock):
    with service.state.storage.database.transaction() as session:
        who = ("https://id.example", "7", "Reader")
        user = keep_oidc_user(session, who, Role.READER, clock.now())
        token = open_session(session, user, None, service.state.access.life, clock.now())
    browser.cookies.set("aegle_session", token)

    answer = browser.post(ROUTE, json=ORDER, headers={"X-CSRF-Token": derive_csrf_token(token)})

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "password_elsewhere")


def test_without_a_session_there_is_no_password_to_change(browser):
    assert browser.post(ROUTE, json=ORDER).status_code == 401
