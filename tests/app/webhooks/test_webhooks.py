import hashlib
import hmac
import json
from datetime import timedelta
from uuid import UUID

import httpx2
import pytest

from app.cases.tables import CaseRow, FindingRow
from app.webhooks.repository import DeliveryRepository
from app.webhooks.service import (
    MAX_ATTEMPTS,
    WebhookRules,
    announce_finding,
    choose_pause,
    encode_body,
    sign,
)
from app.webhooks.tasks import Messenger

URL = "https://ris.example/hook"
SECRET = b"shared secret"
RULES = WebhookRules((URL,), frozenset({"scored", "flagged"}), SECRET)
SOON = timedelta(days=400)


def announce(database, clock, verdict="anomalous", rules=RULES):
    case = CaseRow(id=UUID(int=1), patient_name="CANARY", patient_id="CANARY")
    finding = FindingRow(
        id=UUID(int=2),
        verdict=verdict,
        score=3.0,
        p_value=0.01,
        threshold=2.0,
        bundle_digest="d",
        made_at=clock.now(),
    )
    with database.transaction() as session:
        announce_finding(rules, session, case, finding)


class Receiver:
    """Answers with the statuses it was given, then with 200; keeps what came."""

    def __init__(self, *statuses):
        self.statuses = list(statuses)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        status = self.statuses.pop(0) if self.statuses else 200
        if status is None:
            raise httpx2.ConnectError("away")
        return httpx2.Response(status, headers={"Location": "http://127.0.0.1/inside"})


@pytest.fixture
def build(database, clock):
    """Build a messenger that talks to a receiver."""
    made = []

    def build(receiver, rules=RULES):
        transport = httpx2.MockTransport(receiver)
        made.append(Messenger(database, rules, clock, lambda: 1.0, transport))
        return made[-1]

    yield build
    for messenger in made:
        messenger.stop()


def count_waiting(database, clock):
    with database.transaction() as session:
        later = clock.now() + SOON
        rows = DeliveryRepository(session).claim_due(later, later, 100)
        session.rollback()
        return len(rows)


def test_a_flagged_finding_is_told_signed_and_without_patient_data(database, clock, build):
    receiver = Receiver()
    announce(database, clock)

    build(receiver).deliver_due()

    events = {request.headers["Aegle-Event"] for request in receiver.requests}
    request = receiver.requests[0]
    moment, _, digest = request.headers["Aegle-Signature"].removeprefix("t=").partition(",v1=")
    expected = hmac.new(SECRET, f"{moment}.".encode() + request.content, hashlib.sha256)
    assert events == {"scored", "flagged"}
    assert digest == expected.hexdigest()
    assert json.loads(request.content)["verdict"] == "anomalous"
    assert b"CANARY" not in request.content
    assert count_waiting(database, clock) == 0


@pytest.mark.parametrize("verdict", ["typical", "indeterminate"])
def test_only_anomalous_findings_are_flagged(database, clock, build, verdict):
    receiver = Receiver()
    rules = WebhookRules((URL,), frozenset({"flagged"}), SECRET)

    announce(database, clock, verdict, rules)
    build(receiver, rules).deliver_due()

    assert receiver.requests == []


@pytest.mark.parametrize("failure", [500, 302, 404, None])
def test_a_message_that_was_not_taken_is_sent_again_later(database, clock, build, failure):
    receiver = Receiver(failure, failure)
    announce(database, clock)
    messenger = build(receiver)

    messenger.deliver_due()
    at_once = messenger.deliver_due()
    clock.move(3600)
    messenger.deliver_due()

    assert at_once == 0
    assert len(receiver.requests) == 4
    assert count_waiting(database, clock) == 0


def test_a_redirect_is_not_followed(database, clock, build):
    receiver = Receiver(302, 302)
    announce(database, clock)

    build(receiver).deliver_due()

    assert {request.url.host for request in receiver.requests} == {"ris.example"}


def test_an_address_that_was_taken_out_of_the_settings_is_not_called(database, clock, build):
    receiver = Receiver()
    announce(database, clock)

    build(receiver, WebhookRules((), frozenset(), SECRET)).deliver_due()

    assert receiver.requests == []
    assert count_waiting(database, clock) == 0


def test_a_receiver_that_never_takes_it_is_given_up(database, clock, build):
    receiver = Receiver(*[500] * 100)
    announce(database, clock, "typical")
    messenger = build(receiver)

    for _ in range(MAX_ATTEMPTS + 3):
        messenger.deliver_due()
        clock.move(86_400)

    assert len(receiver.requests) == MAX_ATTEMPTS


def test_two_messengers_never_send_the_same_message(database, clock, build):
    receiver = Receiver()
    announce(database, clock, "typical")
    first, second = build(receiver), build(receiver)

    sent = [first.deliver_due(), second.deliver_due()]

    assert sent == [1, 0]


def test_pauses_double_and_have_an_end():
    pauses = [choose_pause(attempt, 1.0) for attempt in range(1, 30)]

    assert pauses[1] == 2 * pauses[0]
    assert max(pauses) == timedelta(hours=6)
    assert choose_pause(1, 0.0) == pauses[0] / 2


def test_a_signature_depends_on_body_and_moment(clock):
    body = encode_body({"a": 1})

    signatures = {
        sign(SECRET, body, clock.now()),
        sign(SECRET, body + b" ", clock.now()),
        sign(SECRET, body, clock.now() + timedelta(seconds=1)),
        sign(b"other", body, clock.now()),
    }

    assert len(signatures) == 4
