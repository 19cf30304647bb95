from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi.testclient import TestClient
from joserfc.jwk import ECKey
from pydantic import SecretStr

from app.main import create_app
from tests.app.auth.conftest import ADDRESS
from tests.fakes.oidc import run_fake_provider

CALLBACK = "/api/v1/login/callback"


@pytest.fixture
def provider():
    with run_fake_provider() as provider:
        yield provider


@pytest.fixture
def guest(provider, settings, clock):
    update = {
        "oidc_issuer": provider.issuer,
        "oidc_client_id": "aegle",
        "oidc_client_secret": SecretStr("hidden"),
        "oidc_roles": {"radiology": "reader", "it": "admin"},
    }
    service = create_app(settings.model_copy(update=update), clock)
    with TestClient(service, base_url=ADDRESS, follow_redirects=False) as client:
        yield client


def _begin(guest, provider, clock, **changes):
    sent = parse_qs(urlsplit(guest.get("/api/v1/login").headers["Location"]).query)
    now = int(clock.now().timestamp())
    provider.claims = {
        "iss": provider.issuer,
        "aud": "aegle",
        "sub": "42",
        "name": "Reader",
        "groups": ["radiology"],
        "nonce": sent["nonce"][0],
        "iat": now,
        "exp": now + 300,
    } | changes
    return sent


def _finish(guest, sent):
    return guest.get(CALLBACK, params={"state": sent["state"][0], "code": "code"})


def test_a_login_through_the_provider_gives_the_role_of_the_group(guest, provider, clock):
    sent = _begin(guest, provider, clock)

    answer = _finish(guest, sent)

    caller = guest.get("/api/v1/session").json()
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "cases:review" in caller["permissions"]
    assert "access:manage" not in caller["permissions"]


def test_the_code_is_bound_to_us_by_pkce(guest, provider, clock):
    sent = _begin(guest, provider, clock)

    _finish(guest, sent)

    assert sent["code_challenge_method"] == ["S256"]
    assert len(provider.asked[0]["code_verifier"][0]) >= 43


def test_the_strongest_role_of_several_groups_counts(guest, provider, clock):
    _finish(guest, _begin(guest, provider, clock, groups=["radiology", "it", "other"]))

    assert "access:manage" in guest.get("/api/v1/session").json()["permissions"]


@pytest.mark.parametrize(
    "changes",
    [
        {"groups": ["cleaning"]},
        {"groups": []},
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"nonce": "another"},
        {"exp": 1},
        {"sub": None},
    ],
)
def test_claims_that_are_not_for_us_are_refused(guest, provider, clock, changes):
    answer = _finish(guest, _begin(guest, provider, clock, **changes))

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "login_refused")
    assert guest.get("/api/v1/session").status_code == 401


def test_a_token_signed_by_another_key_is_refused(guest, provider, clock):
    sent = _begin(guest, provider, clock)
    provider.key = ECKey.generate_key("P-256", {"kid": "one"})

    assert _finish(guest, sent).status_code == 403


def test_an_answer_counts_once(guest, provider, clock):
    sent = _begin(guest, provider, clock)
    _finish(guest, sent)
    guest.cookies.set("aegle_login", sent["state"][0])

    assert _finish(guest, sent).status_code == 403


def test_an_answer_that_comes_late_is_refused(guest, provider, clock):
    sent = _begin(guest, provider, clock)
    clock.move(601)

    assert _finish(guest, sent).status_code == 403


def test_a_login_begun_in_another_browser_is_refused(guest, provider, clock):
    sent = _begin(guest, provider, clock)
    guest.cookies.clear()

    assert _finish(guest, sent).status_code == 403


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token_endpoint", "https://evil.example/token"),
        ("jwks_uri", "http://169.254.169.254/keys"),
        ("authorization_endpoint", "file:///etc/passwd"),
        ("issuer", "https://evil.example"),
    ],
)
def test_nothing_is_asked_of_a_host_that_the_settings_do_not_name(guest, provider, name, value):
    provider.metadata[name] = value

    answer = guest.get("/api/v1/login")

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "login_refused")


def test_without_a_provider_there_is_no_such_login(browser):
    assert browser.get("/api/v1/login").status_code == 404
