"""A patient who walks every path leaves no trace where none may be: logs, metrics, addresses."""

import io
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app.logs import set_up_logs
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import build_zip, encode_picture
from tests.builders.scans import make_dicom
from tests.builders.services import make_settings, run_service

NAME, PATIENT, ACCESSION = "CANARYNAME^ANNA", "CANARYPATIENT7", "CANARYACC9"
CANARY = "CANARY"
TAGS = {"PatientName": NAME, "PatientID": PATIENT, "AccessionNumber": ACCESSION, "Modality": "DX"}
FIELDS = {"patient_name": NAME, "patient_id": PATIENT, "accession": ACCESSION}
SCANS, CASES = "/api/v1/scans", "/api/v1/cases"


class Hook(BaseHTTPRequestHandler):
    """Keeps what it is told."""

    told: list[bytes] = []  # noqa: RUF012 - one receiver a test process

    def do_POST(self):
        self.told.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.told.append(str(self.headers).encode())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def hook():
    Hook.told.clear()
    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook"
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def log():
    """The log of the whole process, at its most talkative."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers, root.level
    set_up_logs("debug", stream)
    yield stream
    root.handlers, root.level = before


def walk(client):
    """Take the canary down every path; give every answer that may not hold it."""
    dicom = make_dicom(draw_scan(40_001, has_lesion=True), **TAGS)
    picture = encode_picture(draw_scan(40_002, has_lesion=True), "png")
    sent = [
        client.post(SCANS, params={"wait": 60}, content=dicom),
        client.post(
            SCANS, params={"wait": 60}, files={"file": (f"{PATIENT}.png", picture)}, data=FIELDS
        ),
        client.post(SCANS, params={"wait": 60}, content=build_zip({f"{PATIENT}.dcm": dicom})),
    ]
    assert {answer.status_code for answer in sent} == {201}
    cases = [case["id"] for answer in sent for case in answer.json()["cases"]]
    found = client.post(f"{CASES}/search", json={"text": "canaryname"})
    assert len(found.json()["items"]) == len(cases)
    addresses = [f"{CASES}/{cases[0]}/{what}" for what in ("history", "overlay.png", "scan")]
    seen = [client.get(address) for address in addresses]
    # Its answer is for readers and holds the patient; what is written down of it may not.
    assert client.get("/dicom-web/studies", params={"PatientName": NAME}).status_code == 200
    return sent, [
        *seen,
        client.post(SCANS, content=dicom[:-400]),
        client.post(SCANS, content=NAME.encode()),
        client.post(SCANS, content=dicom, headers={"Idempotency-Key": NAME}),
        client.post(SCANS, files={"file": picture}, data={**FIELDS, "unknown": NAME}),
        client.post(SCANS, files={"file": picture}, data={"tags": NAME}),
        client.post(f"{CASES}/{cases[0]}/reviews", json={"decision": NAME, "note": NAME}),
        client.post(f"{CASES}/search", json={"text": NAME, NAME: NAME}),
        client.get(CASES, params={"text": NAME}),
        client.get(CASES, params={"cursor": NAME}),
        client.get(f"{CASES}/{PATIENT}"),
        client.get(f"/{PATIENT}/{NAME}"),
        client.post("/api/v1/session", json={"name": NAME, "password": PATIENT}),
        client.get("/api/v1/session", headers={"Authorization": f"Bearer {PATIENT}"}),
        client.get("/healthz", headers={"X-Request-ID": PATIENT, "Host": PATIENT}),
        client.request(PATIENT, "/healthz"),
        client.delete(f"{CASES}/{cases[1]}"),
        client.get("/metrics"),
        client.get("/readyz"),
        client.get("/api/v1/audit", params={"limit": 100}),
        client.get("/api/v1/audit", params={"subject": NAME}),
        client.get("/api/v1/audit.csv", params={"actor": NAME}),
        client.get("/api/v1/audit.csv"),
        client.get("/api/v1/monitoring"),
    ]


@pytest.mark.slow
def test_no_trace_of_a_patient_where_none_may_be(tiny_bundle, tmp_path, hook, log):
    settings = make_settings(
        tmp_path,
        bundle=tiny_bundle,
        webhook_urls=(hook,),
        webhook_secret="s" * 32,
        webhook_events=("scored", "flagged"),
    )

    with run_service(settings) as client:
        sent, answers = walk(client)
        for _ in range(200):
            if len(Hook.told) >= 2 * len(sent):
                break
            threading.Event().wait(0.05)

    traces = [f"{a.request.method} {a.request.url.path}" for a in answers if CANARY in a.text]
    headers = [str(answer.headers) for answer in (*sent, *answers)]
    names = [str(path) for path in tmp_path.rglob("*")]
    assert traces == []
    assert [text for text in (*headers, *names) if CANARY in text] == []
    assert Hook.told
    assert [told for told in Hook.told if CANARY.encode() in told] == []
    assert len(log.getvalue().splitlines()) > len(answers)
    assert [line for line in log.getvalue().splitlines() if CANARY in line] == []
    assert all(json.loads(line) for line in log.getvalue().splitlines())
