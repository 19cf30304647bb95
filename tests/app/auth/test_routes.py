import base64
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from app.audit.tables import AuditEntryRow
from app.auth.access import list_open_routes
from app.auth.permissions import Permission
from app.auth.service import prepare_setup
from app.main import create_app
from tests.app.auth.conftest import ADDRESS, PASSWORD

LOGIN = {"name": "admin", "password": PASSWORD}
NEW_KEY = {"name": "scanner", "scopes": ["scans:send"]}


def _actions(service):
    with service.state.storage.database.reading() as session:
        query = select(AuditEntryRow).order_by(AuditEntryRow.sequence)
        return [(row.action, row.actor, row.detail) for row in session.scalars(query)]


def test_every_route_needs_a_permission_or_says_that_it_is_public(service):
    assert list_open_routes(service) == []


def test_health_needs_nobody(browser):
    assert browser.get("/healthz").json() == {"status": "ok"}


def test_the_setup_secret_makes_one_administrator_and_is_spent(admin, service, setup_secret):
    order = {"setup_secret": setup_secret, "name": "other", "password": PASSWORD}

    answer = admin.post("/api/v1/setup", json=order)

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "setup_closed")
    with service.state.storage.database.transaction() as session:
        assert prepare_setup(session, service.clock.now()) is None


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"setup_secret": "wrong"}, 401, "invalid_credentials"),
        ({"password": "short"}, 422, "weak_password"),
        ({"password": "Password123456!"}, 422, "weak_password"),
        ({"role": "admin"}, 422, "invalid_request"),
        ({"name": "<script>"}, 422, "invalid_request"),
    ],
)
def test_a_wrong_setup_makes_nobody(browser, setup_secret, change, status, code):
    order = {"setup_secret": setup_secret, "name": "admin", "password": PASSWORD} | change

    answer = browser.post("/api/v1/setup", json=order)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert browser.post("/api/v1/session", json=LOGIN).status_code == 401


def test_a_start_before_the_setup_renews_the_secret(browser, service, setup_secret, clock):
    with service.state.storage.database.transaction() as session:
        prepare_setup(session, clock.now())
    order = {"setup_secret": setup_secret, "name": "admin", "password": PASSWORD}

    assert browser.post("/api/v1/setup", json=order).status_code == 401


def test_the_session_cookie_is_out_of_reach_of_scripts(admin):
    cookie = admin.post("/api/v1/session", json=LOGIN).headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_over_https_the_cookie_is_secure_and_bound_to_the_host(settings, clock, tmp_path):
    update = {"public_url": "https://aegle.example", "data_folder": tmp_path / "https"}
    service = create_app(settings.model_copy(update=update), clock)
    with service.state.storage.database.transaction() as session:
        secret = prepare_setup(session, clock.now())
    order = {"setup_secret": secret, "name": "admin", "password": PASSWORD}

    with TestClient(service, base_url="https://aegle.example") as client:
        cookie = client.post("/api/v1/setup", json=order).headers["Set-Cookie"]

    assert cookie.startswith("__Host-aegle_session=")
    assert "Secure" in cookie


def test_a_login_gives_a_new_session_and_ends_the_one_brought_along(admin):
    old = admin.cookies["aegle_session"]

    admin.post("/api/v1/session", json=LOGIN)

    new = admin.cookies["aegle_session"]
    admin.cookies.set("aegle_session", old, domain="127.0.0.1")
    assert new != old
    fixed = TestClient(admin.app, base_url=ADDRESS, cookies={"aegle_session": old})
    assert fixed.get("/api/v1/session").status_code == 401


@pytest.mark.parametrize("login", [LOGIN | {"password": "wrong" * 4}, LOGIN | {"name": "nobody"}])
def test_wrong_logins_are_told_apart_by_nobody_but_written_down(admin, service, login):
    answer = admin.post("/api/v1/session", json=login)

    assert answer.json()["error"]["code"] == "invalid_credentials"
    assert _actions(service)[-1] == ("access_refused", "nobody", {"code": "invalid_credentials"})


def test_guessing_passwords_is_slowed_down(admin):
    wrong = LOGIN | {"password": "wrong" * 4}

    answers = [admin.post("/api/v1/session", json=wrong) for _ in range(12)]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) >= 1


@pytest.mark.parametrize("wait", [timedelta(minutes=31), timedelta(hours=13)])
def test_a_session_ends_when_idle_or_old(admin, clock, wait):
    clock.move(wait.total_seconds())

    assert admin.get("/api/v1/session").status_code == 401


def test_a_used_session_stays_open_over_the_idle_time(admin, clock):
    answers = []
    for _ in range(4):
        clock.move(1200)
        answers.append(admin.get("/api/v1/session").status_code)

    assert answers == [200] * 4


def test_a_session_that_was_logged_out_is_over(admin):
    token = admin.cookies["aegle_session"]

    left = admin.delete("/api/v1/session")
    assert left.status_code == 204
    assert left.headers["Clear-Site-Data"] == '"cache", "storage"'

    stolen = TestClient(admin.app, base_url=ADDRESS, cookies={"aegle_session": token})
    assert stolen.get("/api/v1/session").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [{"X-CSRF-Token": ""}, {"X-CSRF-Token": "0" * 64}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_a_change_led_here_by_another_page_is_refused_and_written_down(admin, service, headers):
    answer = admin.post("/api/v1/keys", json=NEW_KEY, headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_site_request")
    assert _actions(service)[-1][0] == "access_refused"


def test_a_key_is_shown_once_works_and_is_revoked_at_once(admin):
    made = admin.post("/api/v1/keys", json=NEW_KEY).json()
    header = {"Authorization": f"Bearer {made['token']}"}
    tool = TestClient(admin.app, base_url=ADDRESS, headers=header)
    before = tool.get("/api/v1/session")

    admin.delete(f"/api/v1/keys/{made['id']}")

    assert before.json()["permissions"] == ["scans:send"]
    assert tool.get("/api/v1/session").status_code == 401
    assert made["token"] not in admin.get("/api/v1/keys").text


def test_a_key_is_not_found_in_the_database(service, make_key, settings):
    secret = make_key(Permission.SEND_SCANS)["Authorization"].rpartition("_")[2]
    service.state.storage.close()

    content = b"".join(path.read_bytes() for path in settings.data_folder.glob("aegle.db*"))

    assert secret.encode() not in content


def test_dicomweb_tools_may_send_the_key_as_a_password(browser, make_key):
    token = make_key(Permission.SEND_SCANS)["Authorization"].partition(" ")[2]
    basic = base64.b64encode(f"tool:{token}".encode()).decode()

    answer = browser.get("/api/v1/session", headers={"Authorization": f"Basic {basic}"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "header", ["Bearer x", "Bearer", "Basic !!!", "Digest a", f"Bearer aegle_{'0' * 32}_{'0' * 64}"]
)
def test_what_is_no_valid_key_is_a_401(browser, header):
    answer = browser.get("/api/v1/session", headers={"Authorization": header})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_an_expired_key_is_a_401(browser, make_key, clock):
    header = make_key(Permission.SEND_SCANS, expires_at=clock.now() + timedelta(days=1))
    clock.move(86_400)

    assert browser.get("/api/v1/session", headers=header).status_code == 401


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v1/keys"), ("POST", "/api/v1/keys")])
def test_a_sender_may_not_manage_keys_and_the_try_is_written_down(
    browser, service, make_key, method, path
):
    header = make_key(Permission.SEND_SCANS)

    answer = browser.request(method, path, headers=header, json=NEW_KEY)

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")
    action, actor, detail = _actions(service)[-1]
    assert (action, detail) == ("access_refused", {"code": "permission_denied"})
    assert actor.startswith("key:")


def test_each_key_has_its_own_rate(browser, make_key):
    slow = make_key(Permission.SEND_SCANS, rate=2)
    quick = make_key(Permission.SEND_SCANS)

    answers = [browser.get("/api/v1/session", headers=slow).status_code for _ in range(3)]

    assert answers == [200, 200, 429]
    assert browser.get("/api/v1/session", headers=quick).status_code == 200


def test_an_unknown_key_cannot_be_revoked(admin):
    answer = admin.delete("/api/v1/keys/00000000-0000-0000-0000-000000000000")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "key_not_found")
