"""One service with a tiny bundle for a whole file of tests; each test sends bytes of its own."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import Service
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture
from tests.builders.services import make_settings, run_service

_SEEDS = count(5000)


@pytest.fixture(scope="module")
def client(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A ready service, called by an administrator's key."""
    folder = tmp_path_factory.mktemp("service")
    with run_service(make_settings(folder, bundle=tiny_bundle, dicom_results=())) as client:
        yield client


@pytest.fixture
def service(client: TestClient) -> Service:
    """The service behind the client."""
    return client.app


@pytest.fixture
def picture() -> bytes:
    """A PNG that nobody has sent yet."""
    return encode_picture(draw_scan(next(_SEEDS), has_lesion=True), "png")


@pytest.fixture
def planes():
    """Three slices that nobody has sent yet."""
    return [draw_scan(next(_SEEDS), has_lesion=False) for _ in range(3)]
