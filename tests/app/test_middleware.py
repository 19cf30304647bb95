import json
import logging
from typing import Annotated

import pytest
from fastapi import Body, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.types import ASGIApp

from app.error_handlers import add_error_handlers
from app.errors import DatabaseUnavailable
from app.middleware import BodyLimits, RequestGuard, RequestRules
from models.errors import CorruptScan, DigestMismatch, TooManyBytes, UnknownFormat
from tests.fakes.clock import FakeClock


class Note(BaseModel):
    text: str


@pytest.fixture
def client(clock: FakeClock):
    app = FastAPI()
    add_error_handlers(app)

    @app.post("/notes")
    def keep_note(note: Annotated[Note, Body()]) -> int:
        return len(note.text)

    @app.get("/cases/{case}")
    def fail(case: str) -> None:
        raise {
            "unreachable": DatabaseUnavailable(retry_after_s=7),
            "unknown": UnknownFormat(),
            "corrupt": CorruptScan(),
            "large": TooManyBytes(),
            "bundle": DigestMismatch(),
        }.get(case, RuntimeError("CANARY^ANNA"))

    rules = RequestRules(
        hosts=frozenset({"testserver"}),
        limits=BodyLimits(100, (("/large", 1000),)),
        is_https=True,
    )
    guarded: ASGIApp = RequestGuard(app, rules=rules, clock=clock)
    with TestClient(guarded, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("case", "status", "code"),
    [
        ("unreachable", 503, "database_unavailable"),
        ("unknown", 415, "unknown_format"),
        ("corrupt", 422, "corrupt_scan"),
        ("large", 413, "too_many_bytes"),
        ("bundle", 422, "digest_mismatch"),
        ("bug", 500, "service_error"),
    ],
)
def test_every_error_has_one_shape_and_a_stable_code_word(client, case, status, code):
    answer = client.get(f"/cases/{case}")

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["request_id"] == answer.headers["X-Request-ID"]


def test_a_lost_database_says_when_to_come_back(client):
    assert client.get("/cases/unreachable").headers["Retry-After"] == "7"


def test_unknown_addresses_and_methods_have_the_same_shape(client):
    assert client.get("/nowhere").json()["error"]["code"] == "route_not_found"
    assert client.delete("/notes").json()["error"]["code"] == "method_not_allowed"
    assert client.delete("/notes").headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "body", ['{"CANARY": 1}', '{"text": ["CANARY"]}', "CANARY", "", b"\xff CANARY"]
)
def test_an_invalid_request_is_told_without_repeating_it(client, body):
    answer = client.post("/notes", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_request"
    assert "CANARY" not in answer.text


def test_the_text_of_a_bug_reaches_neither_answer_nor_access_log(client, caplog):
    caplog.set_level(logging.INFO)

    answer = client.get("/cases/CANARY")

    assert "CANARY" not in answer.text
    assert [r.fields["route"] for r in caplog.records if r.name == "app.access"] == [
        "/cases/{case}"
    ]


@pytest.mark.parametrize("has_length", [True, False])
def test_a_body_over_the_limit_is_a_413_however_it_is_sent(client, has_length):
    body = json.dumps({"text": "x" * 200}).encode()
    headers = {"Content-Type": "application/json"}

    answer = client.post("/notes", content=body if has_length else iter([body]), headers=headers)

    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


def test_a_body_under_the_limit_passes(client):
    assert client.post("/notes", json={"text": "four"}).json() == 4


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Host": "evil.example"}, 400, "unknown_host"),
        ({"Host": "testserver.evil.example:80"}, 400, "unknown_host"),
        ({"Content-Encoding": "gzip"}, 415, "encoded_body"),
        ({"Content-Length": "-1"}, 413, "body_too_large"),
    ],
)
def test_requests_that_lie_about_themselves_are_refused(client, headers, status, code):
    answer = client.get("/cases/unknown", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize("path", ["/nowhere", "/cases/bug", "/cases/corrupt"])
def test_every_answer_carries_safe_headers(client, path):
    headers = client.get(path).headers

    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Strict-Transport-Security"].startswith("max-age=")
