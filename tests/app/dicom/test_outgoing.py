"""From a series that was sent to its results in the same study, and on to a target."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi.testclient import TestClient

from app.auth.permissions import Permission
from app.dicom.push import ObjectSender, PushTarget
from app.dicom.push_tasks import Pusher
from app.dicom.tables import PushRow
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import build_zip, encode_picture
from tests.builders.reports import OBLIQUE, ROOT, build_slices
from tests.builders.services import make_key, make_settings, run_service
from tests.builders.stow import DICOM_TYPE, build_message, build_object, make_uid
from tests.fakes.clock import FakeClock

STUDY = f"{ROOT}.5"
WAIT_S = 60.0
JSON = {"Content-Type": DICOM_TYPE, "Accept": "application/dicom+json"}
KINDS = {"CT", "OT", "SR"}


@pytest.fixture(scope="module")
def client(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory):
    """A ready service that wraps pictures and pushes results to a target that is away."""
    settings = make_settings(
        tmp_path_factory.mktemp("service"),
        bundle=tiny_bundle,
        dicom_quiet_s=1.0,  # the slices of one message are one edition, on a busy machine too
        wrap_pictures=True,
        push_targets={"pacs": "http://127.0.0.1:9/dicom-web"},
    )
    with run_service(settings) as client:
        yield client


@pytest.fixture(scope="module")
def case(client: TestClient) -> dict[str, Any]:
    """The case of a series that was sent by STOW, with what went out of it."""
    answer = client.post(
        "/dicom-web/studies", content=build_message(*build_slices(4, OBLIQUE)), headers=JSON
    )
    assert answer.status_code == 200, answer.text
    return await_told(client)


def await_told(client: TestClient) -> dict[str, Any]:
    def find() -> dict[str, Any] | None:
        for found in client.get("/api/v1/cases").json()["items"]:
            out = client.get(f"/api/v1/cases/{found['id']}/dicom").json()
            if [report["state"] for report in out["reports"]] == ["done"]:
                return {**found, **out}
        return None

    return await_value(find)


def await_value(find: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT_S
    while (found := find()) is None:
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.1)
    return found


def test_results_are_in_the_study_of_the_scan(client: TestClient, case: dict[str, Any]) -> None:
    series = client.get(f"/dicom-web/studies/{STUDY}/series").json()

    modalities = {each["00080060"]["Value"][0] for each in series}
    assert modalities >= KINDS
    assert case["reports"][0]["object_count"] >= 3


def test_results_are_served_like_any_instance(client: TestClient, case: dict[str, Any]) -> None:
    uid = case["pushes"][0]["sop_uid"]
    (found,) = client.get("/dicom-web/instances", params={"SOPInstanceUID": uid}).json()

    answer = client.get(found["00081190"]["Value"][0], headers={"Accept": "application/dicom"})

    assert answer.content[128:132] == b"DICM"


def test_results_are_no_slices_of_the_case_and_are_not_scored(client, case):
    files = client.get(f"/api/v1/cases/{case['id']}").json()["files"]

    assert len(files) == 4
    assert len(client.get("/api/v1/cases").json()["items"]) >= 1


def test_each_object_waits_for_each_target(case: dict[str, Any]) -> None:
    pushes = case["pushes"]

    assert {push["target"] for push in pushes} == {"pacs"}
    assert len(pushes) == case["reports"][0]["object_count"]
    assert {push["state"] for push in pushes} == {"waiting"}


def test_a_target_that_comes_back_gets_everything(client: TestClient, case: dict[str, Any]) -> None:
    received: list[bytes] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        received.append(request.content)
        return httpx2.Response(200, json={})

    clock = FakeClock(client.app.clock.now())
    clock.move(3600.0 * 24)
    pusher = make_pusher(client, answer, clock)

    while pusher.send_due():
        pass

    out = client.get(f"/api/v1/cases/{case['id']}/dicom").json()
    assert {push["state"] for push in out["pushes"]} == {"done"}
    # The service's own sender may have had one in its hands, and lets it be sent once more.
    assert len(received) >= len(out["pushes"])


def make_pusher(client: TestClient, answer: Callable[..., Any], clock: FakeClock) -> Pusher:
    sender = ObjectSender("AEGLE", transport=httpx2.MockTransport(answer))
    targets = [PushTarget("pacs", "http://127.0.0.1:9/dicom-web")]
    return Pusher(client.app.state.storage, sender, targets, clock, lambda: 1.0)


def test_an_object_that_is_deleted_on_its_way_does_not_end_the_sending(client):
    row = PushRow(id=uuid4(), instance_id=uuid4(), case_id=uuid4(), target="pacs", attempt_count=1)
    pusher = make_pusher(client, lambda _: httpx2.Response(500), FakeClock())

    pusher._send(row)

    assert pusher._read(row, PushTarget("pacs", "http://127.0.0.1:9/dicom-web")) is None


def test_a_picture_is_wrapped_and_has_results(client: TestClient) -> None:
    content = encode_picture(draw_scan(4711, has_lesion=True), "PNG")
    answer = client.post("/api/v1/scans", params={"wait": 60}, content=content)
    case = answer.json()["cases"][0]

    def find() -> bool | None:
        out = client.get(f"/api/v1/cases/{case['id']}/dicom").json()
        return [report["state"] for report in out["reports"]] == ["done"] or None

    await_value(find)

    captures = client.get("/dicom-web/series", params={"Modality": "SR"}).json()
    assert len(captures) == 2


def test_a_series_that_came_over_rest_has_its_results_in_its_study(client: TestClient) -> None:
    study, series = make_uid(), make_uid()
    files = {f"{number}.dcm": build_object(study, series, 2.0 * number) for number in range(3)}

    answer = client.post("/api/v1/scans", params={"wait": 60}, content=build_zip(files))
    case = answer.json()["cases"][0]

    def find() -> Any:
        out = client.get(f"/api/v1/cases/{case['id']}/dicom").json()
        return [report["state"] for report in out["reports"]] == ["done"] or None

    await_value(find)
    modalities = {
        each["00080060"]["Value"][0]
        for each in client.get(f"/dicom-web/studies/{study}/series").json()
    }
    assert modalities >= KINDS


def test_deleting_a_case_takes_its_results_away(client: TestClient) -> None:
    content = encode_picture(draw_scan(4712, has_lesion=True), "PNG")
    case = client.post("/api/v1/scans", params={"wait": 60}, content=content).json()["cases"][0]

    def find() -> list[Any] | None:
        return client.get(f"/api/v1/cases/{case['id']}/dicom").json()["pushes"] or None

    uids = [push["sop_uid"] for push in await_value(find)]
    client.delete(f"/api/v1/cases/{case['id']}")

    found = client.get("/dicom-web/instances", params={"SOPInstanceUID": ",".join(uids)}).json()
    assert len(uids) >= 4
    assert found == []


def test_a_sender_does_not_see_what_went_out(client: TestClient, case: dict[str, Any]) -> None:
    headers = make_key(client.app, Permission.SEND_SCANS)

    assert client.get(f"/api/v1/cases/{case['id']}/dicom", headers=headers).status_code == 403
    assert (
        client.post(f"/api/v1/cases/{case['id']}/dicom/retry", headers=headers).status_code == 403
    )
