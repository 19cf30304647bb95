"""The road of a scan over PostgreSQL and an object store, also when the database goes away."""

import threading
import time
from itertools import count

import pytest

from app.settings import Settings
from app.storage.opening import open_storage
from app.storage.service import verify_blobs
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture
from tests.builders.postgres import find_binary, run_cluster
from tests.builders.processes import ServiceProcess
from tests.fakes.s3 import run_fake_s3

PATIENCE_S = 60.0


@pytest.fixture
def own_cluster():
    """A PostgreSQL cluster of this test alone, to be stopped."""
    if find_binary("initdb") is None or find_binary("postgres") is None:
        pytest.skip("no PostgreSQL server programs on this machine: apt-get install postgresql")
    with run_cluster() as cluster:
        yield cluster


@pytest.fixture
def shared(own_cluster):
    """Settings of a service on PostgreSQL and an object store."""
    with run_fake_s3() as server:
        yield {
            "database_url": own_cluster.url(own_cluster.create()),
            "blob_url": "s3://bucket/scans",
            "s3_endpoint": server.url,
            "s3_access_key": "key",
            "s3_secret_key": "secret",
        }


def encode_scan(seed):
    return encode_picture(draw_scan(seed, has_lesion=True), "png")


def await_condition(is_met, what):
    deadline = time.monotonic() + PATIENCE_S
    while not is_met():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.slow
def test_a_scan_is_kept_scored_shown_and_reviewed_and_survives_a_restart(
    tiny_bundle, tmp_path, shared
):
    with ServiceProcess(tmp_path / "data", tiny_bundle, **shared) as service:
        service.await_ready()
        with service.open_client() as client:
            sent = client.post("/api/v1/scans?wait=30", content=encode_scan(40_000))
            case = f"/api/v1/cases/{sent.json()['cases'][0]['id']}"
            review = client.post(f"{case}/reviews", json={"decision": "confirmed", "note": ""})
            shown = client.get(f"{case}/overlay.png").content
        service.terminate()
        service.start()
        service.await_ready()
        with service.open_client() as client:
            detail = client.get(case).json()
            again = client.get(f"{case}/overlay.png").content
            original = client.get(f"{case}/original").content
    storage = open_storage(Settings(data_folder=tmp_path / "data", **shared))
    faults = list(verify_blobs(storage.database, storage.blobs))
    storage.close()

    assert (sent.status_code, review.status_code) == (201, 201)
    assert (detail["state"], detail["review"]) == ("scored", "confirmed")
    assert shown == again
    assert original == encode_scan(40_000)
    assert len(faults) >= 2
    assert set(faults) == {None}


class Sender(threading.Thread):
    """Hands pictures in, one after the other, whatever is answered."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.service = service
        self.stopping = threading.Event()
        self.answers = []

    def run(self):
        with self.service.open_client() as client:
            for seed in count(50_000):
                if self.stopping.is_set():
                    return
                answer = client.post("/api/v1/scans", content=encode_scan(seed))
                self.answers.append(answer)

    def count_kept(self):
        return sum(answer.status_code in {201, 202} for answer in self.answers)


def await_scored(client, upload):
    def is_done():
        return client.get(f"/api/v1/scans/{upload}").json()["is_done"]

    await_condition(is_done, "an acknowledged scan was never scored")


@pytest.mark.slow
def test_a_database_that_is_restarted_is_told_as_503_and_loses_nothing(
    tiny_bundle, tmp_path, own_cluster, shared
):
    with ServiceProcess(tmp_path / "data", tiny_bundle, **shared, queue_scans=1000) as service:
        service.await_ready()
        sender = Sender(service)
        sender.start()
        await_condition(lambda: sender.count_kept() >= 5, "nothing is taken in")
        own_cluster.server.stop()
        refused_before = len(sender.answers)
        await_condition(lambda: len(sender.answers) >= refused_before + 5, "uploads hang")
        with service.open_client() as client:
            health = client.get("/healthz").status_code
            readiness = client.get("/readyz").status_code
        own_cluster.server.start()
        kept_before = sender.count_kept()
        await_condition(lambda: sender.count_kept() >= kept_before + 5, "it does not recover")
        sender.stopping.set()
        sender.join(30)
        with service.open_client() as client:
            for answer in sender.answers:
                if answer.status_code in {201, 202}:
                    await_scored(client, answer.json()["upload_id"])

    refused = [answer for answer in sender.answers if answer.status_code not in {201, 202}]
    assert (health, readiness) == (200, 503)
    assert len(refused) >= 4
    assert {answer.status_code for answer in refused} == {503}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
