from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from app.audit.repository import AuditRepository
from app.auth.permissions import Permission, Role
from app.auth.repository import AccessRepository
from app.auth.service import keep_oidc_user, open_session
from app.auth.tables import UserRow
from app.errors import DatabaseUnavailable
from app.storage.identifiers import draw_id
from tests.app.auth.conftest import ADDRESS

USERS = "/api/v1/users"
NOBODY = "00000000-0000-0000-0000-000000000000"
PROVIDER = "https://id.example"


@pytest.fixture
def add_user(service, clock):
    """Add a user and log in; gives the id and a browser."""

    def add(name="reader", role=Role.READER, issuer=PROVIDER):
        with service.state.storage.database.transaction() as session:
            if issuer == PROVIDER:
                user = keep_oidc_user(session, (issuer, name, name), role, clock.now())
            else:
                user = UserRow(
                    id=draw_id(clock.now()), issuer=issuer, subject=name, name=name,
                    role=role, created_at=clock.now(),
                )  # fmt: skip
                session.add(user)
                session.flush()
            token = open_session(session, user, None, service.state.access.life, clock.now())
        return str(user.id), TestClient(service, base_url=ADDRESS, cookies={"aegle_session": token})

    return add


@pytest.fixture
def tool(browser, make_key):
    """A client that manages access by a key."""
    return TestClient(browser.app, base_url=ADDRESS, headers=make_key(Permission.MANAGE_ACCESS))


def list_actions(service):
    with service.state.storage.database.reading() as session:
        return [(row.action, row.subject) for row in AuditRepository(session).stream_entries()]


def test_users_are_listed_newest_first_in_pages(admin, add_user, clock):
    for name in ("one", "two", "three"):
        clock.move(1)
        add_user(name)

    seen, cursor = [], None
    while cursor is not None or not seen:
        page = admin.get(USERS, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen == ["three", "two", "one", "admin"]
    assert "password" not in admin.get(USERS).text


def test_a_disabled_user_is_out_at_once_and_back_after_a_new_login(admin, add_user, service):
    user_id, browser = add_user()
    before = browser.get("/api/v1/session").status_code

    disabled = admin.post(f"{USERS}/{user_id}/disable")
    after = browser.get("/api/v1/session").status_code
    enabled = admin.post(f"{USERS}/{user_id}/enable")

    assert (before, after) == (200, 401)
    assert disabled.json()["disabled_at"] is not None
    assert enabled.json()["disabled_at"] is None
    assert browser.get("/api/v1/session").status_code == 401  # the old session is gone for good
    assert add_user()[1].get("/api/v1/session").status_code == 200
    told = [(f"user_{word}", f"user:{user_id}") for word in ("disabled", "enabled")]
    assert [entry for entry in list_actions(service) if entry[0].startswith("user_")] == told


def test_a_repetition_changes_nothing_and_is_not_written_down(admin, add_user, service):
    user_id, _ = add_user()

    first = admin.post(f"{USERS}/{user_id}/disable").json()
    second = admin.post(f"{USERS}/{user_id}/disable").json()

    assert first == second
    assert [action for action, _ in list_actions(service)].count("user_disabled") == 1


def test_a_local_user_gets_another_role_from_the_next_request_on(admin, add_user):
    user_id, browser = add_user(issuer="local")

    answer = admin.put(f"{USERS}/{user_id}/role", json={"role": "sender"})

    assert answer.json()["role"] == "sender"
    assert browser.get("/api/v1/session").json()["permissions"] == ["scans:send"]


def test_the_role_of_others_comes_from_their_provider(admin, add_user):
    user_id, _ = add_user()

    answer = admin.put(f"{USERS}/{user_id}/role", json={"role": "admin"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "move_not_allowed")


@pytest.mark.parametrize("what", ["disable", "role"])
def test_nobody_locks_themselves_out(admin, add_user, what):
    add_user("second", Role.ADMIN)
    me = admin.get("/api/v1/session").json()["id"].partition(":")[2]

    answer = change(admin, me, what)

    assert answer.status_code == 409
    assert admin.get("/api/v1/session").status_code == 200


@pytest.mark.parametrize("what", ["disable", "role"])
def test_the_last_administrator_stays_whoever_asks(admin, tool, what):
    me = admin.get("/api/v1/session").json()["id"].partition(":")[2]

    answer = change(tool, me, what)

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "move_not_allowed")


@pytest.mark.parametrize("what", ["disable", "role"])
def test_one_administrator_of_two_may_go(admin, tool, add_user, what):
    add_user("second", Role.ADMIN)
    me = admin.get("/api/v1/session").json()["id"].partition(":")[2]

    assert change(tool, me, what).status_code == 200


def test_a_reader_is_disabled_where_there_is_no_administrator(tool, add_user):
    user_id, _ = add_user()

    assert change(tool, user_id, "disable").status_code == 200


def change(client, user_id, what):
    if what == "role":
        return client.put(f"{USERS}/{user_id}/role", json={"role": "reader"})
    return client.post(f"{USERS}/{user_id}/{what}")


@pytest.mark.parametrize("what", ["disable", "enable", "role"])
def test_an_unknown_user_is_told(admin, what):
    answer = change(admin, NOBODY, what)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "user_not_found")


@pytest.mark.parametrize("body", [{}, {"role": "owner"}, {"role": "reader", "name": "x"}])
def test_a_role_of_another_form_is_refused(admin, body):
    assert admin.put(f"{USERS}/{NOBODY}/role", json=body).status_code == 422


def test_only_administrators_look_after_users(add_user):
    _, reader = add_user()

    assert reader.get(USERS).status_code == 403


def test_the_use_of_a_key_is_written_beside_the_requests_once_a_minute(
    service, browser, make_key, clock
):
    header = make_key(Permission.SEND_SCANS)
    key_id = UUID(header["Authorization"].split("_")[1])

    def find_use():
        service.state.access.uses.write()
        with service.state.storage.database.reading() as session:
            return AccessRepository(session).get_key(key_id).last_used_at

    unused = find_use()
    browser.get("/api/v1/session", headers=header)
    first_at, first = clock.now(), find_use()
    clock.move(59)
    browser.get("/api/v1/session", headers=header)
    second = find_use()
    clock.move(1)
    browser.get("/api/v1/session", headers=header)

    assert (unused, first, second) == (None, first_at, first_at)
    assert find_use() == clock.now()


def test_a_refused_key_is_not_a_used_one(service, admin, make_key):
    header = make_key(Permission.SEND_SCANS)
    key_id = header["Authorization"].split("_")[1]
    admin.delete(f"/api/v1/keys/{key_id}")

    admin.get("/api/v1/session", headers=header)

    service.state.access.uses.write()
    assert admin.get("/api/v1/keys").json()["items"][0]["last_used_at"] is None


def test_uses_noted_while_the_database_is_away_are_written_later(
    service, browser, make_key, monkeypatch
):
    header = make_key(Permission.SEND_SCANS)
    uses = service.state.access.uses
    browser.get("/api/v1/session", headers=header)

    def refuse(*_):
        raise DatabaseUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(AccessRepository, "touch_keys", refuse)
        uses.write()
    uses.write()

    with service.state.storage.database.reading() as session:
        assert AccessRepository(session).list_keys()[0].last_used_at is not None
