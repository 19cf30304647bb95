"""A running service with a tiny bundle, and scans that nobody has sent yet."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.client.client import AegleClient
from tests.builders.clients import connect
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture
from tests.builders.services import make_settings, run_service

_SEEDS = count(70_000)


@pytest.fixture(scope="module")
def service(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A ready service, called by an administrator's key."""
    folder = tmp_path_factory.mktemp("service")
    with run_service(make_settings(folder, bundle=tiny_bundle)) as service:
        yield service


@pytest.fixture
def client(service: TestClient) -> Iterator[AegleClient]:
    """A client of it."""
    with connect(service) as client:
        yield client


@pytest.fixture
def picture() -> bytes:
    """A PNG that nobody has sent yet."""
    return encode_picture(draw_scan(next(_SEEDS), has_lesion=True), "png")


@pytest.fixture
def planes():
    """Three slices that nobody has sent yet."""
    return [draw_scan(next(_SEEDS), has_lesion=False) for _ in range(3)]
