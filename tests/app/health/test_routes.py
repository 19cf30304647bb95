import time

import pytest

from app.auth.permissions import Permission, Role
from app.errors import DatabaseUnavailable
from tests.builders.bundles import copy_bundle
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture
from tests.builders.services import make_key, make_settings, run_service

DEATH_S = 1.0


@pytest.fixture
def client(tiny_bundle, tmp_path):
    """A ready service, called by an administrator's key."""
    with run_service(make_settings(tmp_path, bundle=tiny_bundle)) as client:
        yield client


def send(client, seed=1):
    picture = encode_picture(draw_scan(seed, has_lesion=True), "png")
    return client.post("/api/v1/scans", params={"wait": 60}, content=picture)


def list_reasons(answer):
    return {part["name"]: part["reason"] for part in answer.json()["parts"]}


def test_a_ready_service_says_so_and_under_which_bundle(client, tiny_detector):
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["live_bundle"] == tiny_detector.digest
    assert list_reasons(answer) == {"engine": "", "keeper": "", "database": ""}


def test_without_a_bundle_it_is_alive_not_ready_and_takes_no_scan(tmp_path):
    with run_service(make_settings(tmp_path)) as client:
        ready, alive, sent = client.get("/readyz"), client.get("/healthz"), send(client)

    assert (ready.status_code, alive.status_code, sent.status_code) == (503, 200, 503)
    assert sent.json()["error"]["code"] == "engine_unavailable"
    assert int(sent.headers["Retry-After"]) > 0


def test_a_bundle_that_was_edited_is_told_by_readyz(tiny_bundle, tmp_path):
    folder = copy_bundle(tiny_bundle, tmp_path / "edited")
    (folder / "card.md").write_text("better than it is")

    with run_service(make_settings(tmp_path, bundle=folder), awaits=False) as client:
        deadline = time.monotonic() + 30
        while "loaded" in list_reasons(client.get("/readyz"))["engine"]:
            assert time.monotonic() < deadline
        ready, sent = client.get("/readyz"), send(client)

    assert (ready.status_code, sent.status_code) == (503, 503)
    assert "digest_mismatch" in list_reasons(ready)["engine"]


def test_a_dead_engine_is_told_within_a_second(client):
    client.app.state.road.line.engine._queue.close()
    time.sleep(DEATH_S / 2)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert list_reasons(answer)["engine"] == "the engine's thread is dead"
    assert client.get("/healthz").status_code == 200
    assert send(client).status_code == 503


def test_a_database_that_is_away_is_told(client, monkeypatch):
    def fail():
        raise DatabaseUnavailable

    monkeypatch.setattr(client.app.state.storage.database, "check", fail)
    answer = client.get("/readyz")

    assert (answer.status_code, list_reasons(answer)["database"]) == (503, "database_unavailable")


def test_a_database_that_hangs_keeps_nobody_waiting(client, monkeypatch):
    monkeypatch.setattr(client.app.state.storage.database, "check", lambda: time.sleep(3))

    started = time.monotonic()
    answer = client.get("/readyz")

    assert time.monotonic() - started < 2 * DEATH_S
    assert list_reasons(answer)["database"] == "no answer in time"


def test_metrics_count_requests_and_findings_and_hold_nothing_of_a_patient(client):
    picture = encode_picture(draw_scan(3, has_lesion=True), "png")
    client.post(
        "/api/v1/scans",
        params={"wait": 60},
        files={"file": ("CANARY.png", picture)},
        data={"patient_id": "CANARY", "site": "CANARY"},
    )
    client.get("/CANARY")
    client.request("CANARY", "/healthz")

    text = client.get("/metrics").text

    assert (
        'aegle_request_seconds_count{method="POST",route="/api/v1/scans",status="201"} 1.0' in text
    )
    assert "aegle_findings_total{" in text
    assert "aegle_jobs_open 0.0" in text
    assert "aegle_job_cases_left 0.0" in text
    assert 'aegle_engine_state{state="ready"} 1.0' in text
    assert "CANARY" not in text


def test_metrics_are_for_those_who_may(client):
    reader = make_key(client.app, Permission.READ_MONITORING)
    sender = make_key(client.app, Permission.SEND_SCANS)

    answers = [client.get("/metrics", headers=key).status_code for key in (reader, sender)]

    assert answers == [200, 403]


def test_health_is_public(tmp_path):
    with run_service(make_settings(tmp_path), Role.SENDER) as client:
        client.headers.pop("Authorization")
        answers = {path: client.get(path).status_code for path in ("/healthz", "/readyz")}

    assert answers == {"/healthz": 200, "/readyz": 503}
