"""One service without a bundle for a whole file of tests; each test sends a study of its own."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from app.main import Service
from tests.builders.services import make_settings, run_service


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service that keeps objects and scores none, called by an administrator's key."""
    folder = tmp_path_factory.mktemp("service")
    with run_service(make_settings(folder, dicom_quiet_s=3600.0)) as client:
        yield client


@pytest.fixture
def service(client: TestClient) -> Service:
    """The service behind the client."""
    return client.app
