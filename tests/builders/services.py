"""A whole service in memory: settings, keys, clients."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from app.auth.permissions import ROLES, Permission, Role
from app.auth.service import KeyOrder, create_key
from app.main import Service, create_app
from app.settings import Settings

READY_S = 60.0
ADDRESS = "http://127.0.0.1:8080"


def make_settings(folder: Path, **changes: Any) -> Settings:
    """Give settings of a small service whose data lie in a folder."""
    values: dict[str, Any] = {
        "data_folder": folder / "data",
        "min_free_bytes": 0,
        "argon2_memory_kib": 8,
        "device": "cpu",
        "decoders": 1,
    }
    return Settings(**(values | changes))


def make_key(service: Service, *scopes: Permission, name: str = "tool") -> dict[str, str]:
    """Make an API key and give the header to send it by."""
    with service.state.storage.database.transaction() as session:
        _, token = create_key(
            session, KeyOrder(name, frozenset(scopes)), "test", service.clock.now()
        )
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def run_service(
    settings: Settings, role: Role = Role.ADMIN, *, awaits: bool = True
) -> Iterator[TestClient]:
    """Run a service inside this process; its client holds a key with all of a role.

    With a bundle in the settings it is ready when this yields, unless nobody `awaits` it.
    """
    service = create_app(settings)
    with TestClient(service, base_url=ADDRESS, raise_server_exceptions=False) as client:
        client.headers.update(make_key(service, *ROLES[role]))
        if awaits and settings.bundle is not None:
            await_ready(client)
        yield client


def await_ready(client: TestClient) -> None:
    """Wait until scans are taken in."""
    deadline = time.monotonic() + READY_S
    while (answer := client.get("/readyz")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
