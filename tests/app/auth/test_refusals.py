"""Every refusal to somebody who showed credentials stands in the audit trail."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from app.audit.tables import AuditEntryRow
from app.auth.permissions import Permission
from app.auth.service import revoke_key
from tests.app.auth.conftest import PASSWORD

CASE, DIGEST = UUID(int=7), "d" * 64
CHANGES = [
    ("POST", f"/api/v1/cases/{CASE}/reviews", {"decision": "confirmed"}),
    ("POST", f"/api/v1/cases/{CASE}/reviews", {"decision": "dismissed"}),
    ("DELETE", f"/api/v1/cases/{CASE}", None),
    ("POST", f"/api/v1/bundles/{DIGEST}/activate", None),
    ("POST", "/api/v1/bundles/rollback", None),
    ("POST", "/api/v1/keys", {"name": "x", "scopes": ["scans:send"]}),
    ("POST", "/api/v1/password", {"current_password": PASSWORD, "new_password": "y" * 20}),
]


def find_last(service):
    with service.state.storage.database.reading() as session:
        query = select(AuditEntryRow).order_by(AuditEntryRow.sequence.desc()).limit(1)
        row = session.scalars(query).one()
        return row.action, row.detail["code"], row.actor


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
@pytest.mark.parametrize("token", ["", "0" * 64])
def test_no_change_passes_without_the_token_of_its_session(
    admin, service, method, path, body, token
):
    answer = admin.request(method, path, json=body, headers={"X-CSRF-Token": token})

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_site_request")
    assert find_last(service)[:2] == ("access_refused", "cross_site_request")


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_sender_changes_nothing_and_each_try_is_written_down(
    browser, service, make_key, method, path, body
):
    answer = browser.request(method, path, json=body, headers=make_key(Permission.SEND_SCANS))

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")
    action, code, actor = find_last(service)
    assert (action, code) == ("access_refused", "permission_denied")
    assert actor.startswith("key:")


def test_an_expired_key_is_refused_and_written_down(browser, service, make_key, clock):
    header = make_key(Permission.READ_CASES, expires_at=clock.now() + timedelta(hours=1))
    clock.move(3600)

    answer = browser.get("/api/v1/cases", headers=header)

    assert answer.status_code == 401
    assert find_last(service)[:2] == ("access_refused", "not_authenticated")


def test_a_revoked_key_is_refused_and_written_down(browser, service, make_key, clock):
    header = make_key(Permission.READ_CASES)
    own = browser.get("/api/v1/session", headers=header).json()["id"]
    with service.state.storage.database.transaction() as session:
        revoke_key(session, UUID(own.removeprefix("key:")), "test", clock.now())

    answer = browser.get("/api/v1/cases", headers=header)

    assert answer.status_code == 401
    assert find_last(service)[:2] == ("access_refused", "not_authenticated")


def test_a_session_fixed_before_the_login_is_worth_nothing_after(admin):
    fixed = "attacker-chose-this"
    admin.cookies.set("aegle_session", fixed)

    login = admin.post("/api/v1/session", json={"name": "admin", "password": PASSWORD})

    assert login.status_code == 201
    assert fixed not in login.headers["set-cookie"]
    admin.cookies.clear()
    admin.cookies.set("aegle_session", fixed)
    assert admin.get("/api/v1/session").status_code == 401
