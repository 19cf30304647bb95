import json
import time
from itertools import count
from uuid import UUID

import pytest

from app.audit.repository import AuditRepository
from app.auth.permissions import ROLES, Role
from app.cases.tables import CaseRow
from models.detector import Detector
from tests.builders.bundles import copy_bundle, edit_json, sign_again
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import build_zip, encode_picture
from tests.builders.services import make_key, make_settings, run_service

JOBS = "/api/v1/jobs"
ENDED = {"done", "failed", "cancelled"}
PATIENCE_S = 60.0
_SEEDS = count(51_000)


@pytest.fixture(scope="module")
def client(tiny_bundle, tmp_path_factory):
    """A ready service, called by an administrator's key."""
    folder = tmp_path_factory.mktemp("service")
    settings = make_settings(folder, bundle=tiny_bundle, job_chunk_cases=4)
    with run_service(settings) as client:
        yield client


@pytest.fixture(scope="module")
def other(client, tiny_bundle, tmp_path_factory):
    """Digest of another registered bundle."""
    folder = copy_bundle(tiny_bundle, tmp_path_factory.mktemp("bundles") / "other")
    edit_json(folder / "manifest.json", lambda manifest: manifest.update(name="other"))
    sign_again(folder)
    packed = build_zip({path.name: path.read_bytes() for path in folder.iterdir()})
    headers = {"Content-Type": "application/zip"}
    return client.post("/api/v1/bundles", content=packed, headers=headers).json()["digest"]


@pytest.fixture
def reader(client):
    """The header of a reader's key."""
    return make_key(client.app, *ROLES[Role.READER])


def send(client, site):
    picture = encode_picture(draw_scan(next(_SEEDS), has_lesion=True), "png")
    files, data = {"file": ("scan.png", picture)}, {"site": site}
    answer = client.post("/api/v1/scans", params={"wait": 60}, files=files, data=data)
    assert answer.status_code == 201, answer.text
    return answer.json()["cases"][0]["id"]


def order(client, bundle, site, **body):
    return client.post(f"{JOBS}/rescore", json={"bundle": bundle, "filter": {"site": site}} | body)


def await_end(client, job):
    deadline = time.monotonic() + PATIENCE_S
    while (view := client.get(f"{JOBS}/{job['id']}").json())["status"] not in ENDED:
        assert time.monotonic() < deadline, view
        time.sleep(0.02)
    return view


def overrule(client, cases):
    """Let cases show a verdict that no bundle gives them again."""
    with client.app.state.storage.database.transaction() as session:
        for case in cases:
            session.get_one(CaseRow, UUID(case)).verdict = "indeterminate"


def list_digests(client, case):
    history = client.get(f"/api/v1/cases/{case}/history").json()
    return [finding["bundle_digest"] for finding in history["findings"]]


def test_a_job_scores_the_cases_of_its_filter_under_its_bundle(client, other, tiny_detector):
    wanted = [send(client, "here") for _ in range(6)]
    unwanted = send(client, "there")

    answer = order(client, other, "here")
    done = await_end(client, answer.json())

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{JOBS}/{done['id']}"
    assert (done["status"], done["total"], done["done"], done["failed"]) == ("done", 6, 6, 0)
    assert done["filter"]["site"] == "here"
    assert done["rate_per_s"] > 0
    assert done["left_s"] == 0
    assert {tuple(list_digests(client, case)) for case in wanted} == {(tiny_detector.digest, other)}
    assert list_digests(client, unwanted) == [tiny_detector.digest]
    shown = client.get(f"/api/v1/cases/{wanted[0]}").json()
    assert shown["bundle_digest"] == tiny_detector.digest


def test_a_dry_run_keeps_nothing(client, other, tiny_detector):
    case = send(client, "dry")

    done = await_end(client, order(client, other, "dry", is_dry_run=True).json())

    assert (done["status"], done["done"], done["is_dry_run"]) == ("done", 1, True)
    assert list_digests(client, case) == [tiny_detector.digest]


def test_a_bundle_is_unloaded_when_its_job_is_done(client, other, tiny_detector):
    send(client, "unloaded")

    await_end(client, order(client, other, "unloaded").json())

    engine, deadline = client.app.state.road.line.engine, time.monotonic() + PATIENCE_S
    while other in engine.loaded:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert engine.loaded == {tiny_detector.digest}


def test_a_scan_whose_bytes_are_lost_fails_with_its_reason_and_the_job_goes_on(client, other):
    cases = [send(client, "broken") for _ in range(3)]
    detail = client.get(f"/api/v1/cases/{cases[1]}").json()
    path = client.app.state.storage.blobs.find_path(detail["files"][0]["sha256"])
    path.write_bytes(path.read_bytes()[:40])

    done = await_end(client, order(client, other, "broken").json())

    failures = client.get(f"{JOBS}/{done['id']}/failures").json()["items"]
    assert (done["status"], done["done"], done["failed"]) == ("done", 2, 1)
    assert [each["case"] for each in failures] == [cases[1]]
    assert failures[0]["code"]


def test_flips_come_in_pages(client, other, tiny_detector):
    cases = sorted(send(client, "flips") for _ in range(3))
    overrule(client, cases)

    done = await_end(client, order(client, other, "flips", is_dry_run=True).json())
    first = client.get(f"{JOBS}/{done['id']}/flips", params={"limit": 2}).json()
    params = {"limit": 2, "cursor": first["next_cursor"]}
    second = client.get(f"{JOBS}/{done['id']}/flips", params=params).json()

    items = first["items"] + second["items"]
    assert [item["case"] for item in items] == cases
    assert second["next_cursor"] is None
    assert items[0]["before"]["bundle"] == tiny_detector.digest
    assert items[0]["after"]["bundle"] == other
    assert items[0]["before"]["verdict"] != items[0]["after"]["verdict"]


def test_jobs_are_listed_in_pages_the_newest_first(client, other):
    made = [order(client, other, f"nowhere {number}").json()["id"] for number in range(3)]

    first = client.get(JOBS, params={"limit": 2}).json()
    second = client.get(JOBS, params={"limit": 2, "cursor": first["next_cursor"]}).json()

    listed = [item["id"] for item in first["items"] + second["items"]]
    assert listed[:3] == made[::-1]


def test_events_tell_every_change_and_end_with_the_job(client, other):
    for _ in range(5):
        send(client, "events")
    job = order(client, other, "events").json()

    answer = client.get(f"{JOBS}/{job['id']}/events", headers={"Last-Event-ID": "7"})

    blocks = [block for block in answer.text.split("\n\n") if block.startswith("event: job")]
    views = [json.loads(block.partition("data: ")[2]) for block in blocks]
    settled = [view["done"] for view in views]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert (views[-1]["status"], views[-1]["done"]) == ("done", 5)
    assert settled == sorted(settled)


def test_events_of_an_ended_job_are_its_last_view(client, other):
    job = await_end(client, order(client, other, "nothing at all").json())

    text = client.get(f"{JOBS}/{job['id']}/events").text

    assert text.count("event: job") == 1


def test_streams_end_with_the_service(client, other):
    job = await_end(client, order(client, other, "ending").json())
    client.app.state.ending.set()

    text = client.get(f"{JOBS}/{job['id']}/events").text

    client.app.state.ending.clear()
    assert text == ""


def test_a_cancelled_job_stops_within_a_chunk(client, other):
    for _ in range(24):
        send(client, "cancelled")
    job = order(client, other, "cancelled").json()

    answer = client.post(f"{JOBS}/{job['id']}/cancel")
    ended = await_end(client, job)

    again = client.post(f"{JOBS}/{job['id']}/cancel")
    assert answer.json()["status"] in {"cancelling", "cancelled"}
    assert ended["status"] == "cancelled"
    assert ended["done"] < ended["total"]
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")


def test_a_job_that_is_done_cannot_be_cancelled(client, other):
    job = await_end(client, order(client, other, "over").json())

    answer = client.post(f"{JOBS}/{job['id']}/cancel")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "move_not_allowed")


def test_a_live_scan_does_not_wait_for_the_jobs_queue(client, other, monkeypatch):
    total, examine = 40, Detector.examine
    for _ in range(total):
        send(client, "queue")

    def examine_slowly(detector, scans):
        time.sleep(0.3 if detector.digest == other else 0.0)
        return examine(detector, scans)

    monkeypatch.setattr(Detector, "examine", examine_slowly)
    job = order(client, other, "queue").json()
    while (before := client.get(f"{JOBS}/{job['id']}").json())["status"] == "waiting":
        time.sleep(0.005)

    send(client, "live")

    after = client.get(f"{JOBS}/{job['id']}").json()
    client.post(f"{JOBS}/{job['id']}/cancel")
    await_end(client, job)
    assert after["status"] == "running"
    assert after["done"] - before["done"] < total / 2


@pytest.mark.parametrize(
    ("method", "path", "is_read"),
    [
        ("POST", "/rescore", False),
        ("POST", "/{id}/cancel", False),
        ("GET", "", True),
        ("GET", "/{id}", True),
        ("GET", "/{id}/flips", True),
        ("GET", "/{id}/failures", True),
        ("GET", "/{id}/events", True),
    ],
)
def test_readers_look_on_and_administrators_act(client, other, reader, method, path, is_read):
    job = await_end(client, order(client, other, "permissions").json())
    sender = make_key(client.app, *ROLES[Role.SENDER])
    address = JOBS + path.format(id=job["id"])

    by_reader = client.request(method, address, headers=reader, json={"bundle": other})
    by_sender = client.request(method, address, headers=sender, json={"bundle": other})

    assert by_reader.status_code == (200 if is_read else 403)
    assert by_sender.status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"bundle": "0" * 64}, 404, "bundle_not_registered"),
        ({"bundle": "short"}, 422, "invalid_request"),
        ({}, 422, "invalid_request"),
        ({"bundle": "0" * 64, "filter": {"sort": "time"}}, 422, "invalid_request"),
        ({"bundle": "0" * 64, "surprise": 1}, 422, "invalid_request"),
    ],
)
def test_orders_that_cannot_be_followed_are_refused(client, body, status, code):
    answer = client.post(f"{JOBS}/rescore", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("path", ["", "/flips", "/failures", "/events"])
def test_a_job_that_nobody_knows_is_not_found(client, path):
    answer = client.get(f"{JOBS}/0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a{path}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "job_not_found")


def test_a_cursor_of_something_else_is_refused(client):
    answer = client.get(JOBS, params={"cursor": "garbage"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_cursor")


def test_the_trail_does_not_repeat_the_search_text_of_a_filter(client, other):
    body = {"bundle": other, "filter": {"text": "CANARY"}}
    job = client.post(f"{JOBS}/rescore", json=body).json()

    with client.app.state.storage.database.reading() as session:
        trail = AuditRepository(session).list_of_subject(f"job:{job['id']}")

    assert "CANARY" not in str([row.detail for row in trail])
