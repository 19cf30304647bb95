"""A service on SQLite with its storage in a temporary folder, and a browser beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.auth.service import KeyOrder, create_key, prepare_setup
from app.main import Service, create_app
from app.settings import Settings
from tests.fakes.clock import FakeClock

PASSWORD = "correct horse battery"  # noqa: S105 - of a service that lives for one test
ADDRESS = "http://127.0.0.1:8080"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with cheap password hashes."""
    return Settings(
        data_folder=tmp_path / "data",
        min_free_bytes=0,
        argon2_memory_kib=8,
        login_rate_per_minute=10,
    )


@pytest.fixture
def service(settings: Settings, clock: FakeClock) -> Iterator[Service]:
    """A service that is not set up yet."""
    service = create_app(settings, clock)
    yield service
    service.state.storage.close()


@pytest.fixture
def browser(service: Service) -> Iterator[TestClient]:
    """A client that keeps cookies."""
    with TestClient(service, base_url=ADDRESS, follow_redirects=False) as client:
        yield client


@pytest.fixture
def setup_secret(service: Service, clock: FakeClock) -> str:
    """The secret of the first start."""
    with service.state.storage.database.transaction() as session:
        secret = prepare_setup(session, clock.now())
    assert secret is not None
    return secret


@pytest.fixture
def admin(browser: TestClient, setup_secret: str) -> TestClient:
    """A browser in which the administrator has logged in, with the CSRF token."""
    order = {"setup_secret": setup_secret, "name": "admin", "password": PASSWORD}
    answer = browser.post("/api/v1/setup", json=order)
    assert answer.status_code == 201
    browser.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
    return browser


@pytest.fixture
def make_key(service: Service, clock: FakeClock):
    """Make an API key with scopes; gives the header to send."""

    def make(*scopes, expires_at=None, rate=None) -> dict[str, str]:
        order = KeyOrder("tool", frozenset(scopes), expires_at, rate)
        with service.state.storage.database.transaction() as session:
            _, token = create_key(session, order, "test", clock.now())
        return {"Authorization": f"Bearer {token}"}

    return make
