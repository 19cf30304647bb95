"""What was acknowledged is on disk: the service is killed in the middle of uploads."""

import signal
import threading
import time
from itertools import count

import httpx2
import pytest

from app.cases.repository import CaseRepository
from app.cases.states import CaseState
from app.cases.worklist import CaseFilter
from app.settings import Settings
from app.storage.opening import open_storage
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture
from tests.builders.processes import ServiceProcess

ROUNDS = 3
SENDERS = 4
ACKNOWLEDGED = 12
PATIENCE_S = 60.0


class Sender(threading.Thread):
    """Hands pictures in until the service goes away; remembers what was acknowledged."""

    def __init__(self, service, seeds):
        super().__init__(daemon=True)
        self.service = service
        self.seeds = seeds
        self.acknowledged = []

    def run(self):
        with self.service.open_client() as client:
            while True:
                picture = encode_picture(draw_scan(next(self.seeds), has_lesion=True), "png")
                try:
                    answer = client.post("/api/v1/scans", content=picture)
                except httpx2.TransportError:
                    return
                if answer.status_code in {201, 202}:
                    self.acknowledged.append(answer.json()["upload_id"])


def await_uploads(senders):
    """Wait until some uploads were acknowledged; more are on their way then."""
    deadline = time.monotonic() + PATIENCE_S
    while sum(len(sender.acknowledged) for sender in senders) < ACKNOWLEDGED:
        assert time.monotonic() < deadline, "nothing was acknowledged"
        time.sleep(0.005)


def count_queued(folder):
    """Count the cases that a stopped service left unscored."""
    storage = open_storage(Settings(data_folder=folder, min_free_bytes=0))
    with storage.database.reading() as session:
        queued = CaseRepository(session).count_cases(CaseFilter(state=CaseState.QUEUED))
    storage.close()
    return queued


def await_all_scored(client, uploads):
    """Wait until every upload is scored, and give its receipts."""
    deadline = time.monotonic() + PATIENCE_S
    receipts = {}
    for upload in uploads:
        while True:
            answer = client.get(f"/api/v1/scans/{upload}")
            assert answer.status_code == 200, answer.text
            if answer.json()["is_done"]:
                receipts[upload] = answer.json()
                break
            assert time.monotonic() < deadline, "an acknowledged scan was never scored"
            time.sleep(0.02)
    return receipts


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_and_nothing_scored_twice(tiny_bundle, tmp_path):
    seeds = count(20_000)
    acknowledged = []
    with ServiceProcess(tmp_path / "data", tiny_bundle, queue_scans=1000) as service:
        for _ in range(ROUNDS):
            service.await_ready()
            senders = [Sender(service, seeds) for _ in range(SENDERS)]
            for sender in senders:
                sender.start()
            await_uploads(senders)
            service.kill()
            for sender in senders:
                sender.join(10)
                acknowledged += sender.acknowledged
            service.start()
        service.await_ready()
        with service.open_client() as client:
            receipts = await_all_scored(client, acknowledged)
            findings = [
                len(client.get(f"/api/v1/cases/{case['id']}/history").json()["findings"])
                for receipt in receipts.values()
                for case in receipt["cases"]
            ]

    assert len(receipts) == len(acknowledged) >= ROUNDS * ACKNOWLEDGED
    assert set(findings) == {1}


@pytest.mark.slow
def test_a_service_that_is_asked_to_end_scores_what_it_accepted(tiny_bundle, tmp_path):
    with ServiceProcess(tmp_path / "data", tiny_bundle) as service:
        service.await_ready()
        with service.open_client() as client:
            uploads = [
                client.post(
                    "/api/v1/scans",
                    content=encode_picture(draw_scan(30_000 + seed, has_lesion=True), "png"),
                ).json()["upload_id"]
                for seed in range(10)
            ]
        status = service.terminate()

    assert status in {0, -signal.SIGTERM}  # uvicorn raises the signal again when all is done
    assert len(uploads) == 10
    assert count_queued(tmp_path / "data") == 0
