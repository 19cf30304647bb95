import hashlib
from uuid import uuid4

import httpx2
import pytest

import app.client.errors
from app.client.client import AegleClient
from app.client.errors import (
    ClientError,
    FileChanged,
    Halted,
    ServiceUnreachable,
    UnexpectedAnswer,
)
from app.client.patience import RetryRules
from app.client.upload import Upload
from app.errors import (
    CaseNotFound,
    NotAuthenticated,
    PermissionDenied,
    QueueFull,
    StorageFull,
    TooManyRequests,
)
from app.intake.schemas import UploadFields
from models.errors import UnknownFormat
from tests.builders.clients import fake, refuse
from tests.builders.scans import write_dicom_series


@pytest.fixture
def scan(tmp_path, picture):
    path = tmp_path / "scan.png"
    path.write_bytes(picture)
    return path


def answer_in_turn(*answers):
    """Answer with one after the other, the last one for good; remember the requests."""
    requests = []

    def answer(request):
        request.read()
        requests.append(request)
        given = answers[min(len(requests), len(answers)) - 1]
        if isinstance(given, Exception):
            raise given
        return given

    return answer, requests


def test_a_file_becomes_a_receipt_with_its_finding(client, scan, tiny_detector):
    receipt = client.send_scan(Upload((scan,)), wait_s=30)

    assert receipt.sha256 == hashlib.sha256(scan.read_bytes()).hexdigest()
    assert receipt.cases[0].finding.bundle_digest == tiny_detector.digest


def test_fields_beside_the_file_arrive(client, scan):
    fields = UploadFields(site="Nördlich 1", tags={"protocol": "t1"})

    receipt = client.send_scan(Upload((scan,), fields), wait_s=30)

    case = client.fetch_case(receipt.cases[0].id)
    assert (case.site, case.tags) == ("Nördlich 1", {"protocol": "t1"})


def test_a_series_becomes_one_case_and_the_same_series_the_same_bytes(client, planes, tmp_path):
    folder = write_dicom_series(tmp_path / "series", planes)
    upload = Upload(tuple(sorted(folder.iterdir())))

    first, second = client.send_scan(upload, wait_s=30), client.send_scan(upload)

    assert [len(case.files) for case in first.cases] == [3]
    assert {file.label for file in first.files} == {path.name for path in upload.files}
    assert (first.is_known, second.is_known) == (False, True)


def test_who_does_not_wait_asks_until_it_is_done(client, scan):
    receipt = client.send_scan(Upload((scan,)))

    assert client.await_receipt(receipt.upload_id).cases[0].verdict is not None


def test_an_idempotency_key_is_sent(client, scan, picture):
    client.send_scan(Upload((scan,), idempotency_key="scan-1"))
    scan.write_bytes(picture + b" ")

    with pytest.raises(Exception, match="used with other bytes"):
        client.send_scan(Upload((scan,), idempotency_key="scan-1"))


def test_an_error_of_the_service_is_the_class_that_it_raised(client, tmp_path):
    (tmp_path / "notes").write_bytes(b"no scan at all")

    with pytest.raises(UnknownFormat):
        client.send_scan(Upload((tmp_path / "notes",)))
    with pytest.raises(CaseNotFound):
        client.fetch_receipt(uuid4())


def test_a_key_that_is_not_known_is_told_at_once():
    answer, requests = answer_in_turn(refuse(401, "not_authenticated"))

    with fake(answer) as client, pytest.raises(NotAuthenticated):
        client.fetch_caller()
    assert len(requests) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(503, "queue_full"), (429, "too_many_requests"), (502, "strange")]
)
def test_a_busy_service_is_tried_again_with_the_whole_file(scan, status, code):
    busy = refuse(status, code)
    answer, requests = answer_in_turn(busy, busy, refuse(507, "storage_full"))
    told = []

    with fake(answer) as client, pytest.raises(StorageFull):
        client.send_scan(Upload((scan,)), tell_bytes=told.append)

    assert len(requests) == 3
    assert all(scan.read_bytes() in request.content for request in requests)
    assert sum(told) == scan.stat().st_size


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(503, "queue_full", QueueFull), (429, "too_many_requests", TooManyRequests)],
)
def test_patience_ends_with_the_reason_of_the_service(status, code, kind):
    answer, requests = answer_in_turn(refuse(status, code))

    with fake(answer, rules=RetryRules(0.05, 0.001, 0.01)) as client, pytest.raises(kind):
        client.fetch_receipt(uuid4())
    assert len(requests) > 3


def test_the_time_that_the_service_asks_for_is_waited_and_can_be_ended():
    answer, _ = answer_in_turn(refuse(503, "queue_full", **{"Retry-After": "7"}))
    pauses = []

    def end(_reason, pause_s):
        pauses.append(pause_s)
        client.halt()

    with fake(answer, rules=RetryRules(8.0), tell_pause=end) as client, pytest.raises(Halted):
        client.fetch_receipt(uuid4())
    assert 7.0 <= pauses[0] <= 7.25


def test_a_service_that_is_away_is_tried_again():
    answer, requests = answer_in_turn(
        httpx2.ConnectError("refused"), httpx2.ReadError("reset"), refuse(403, "permission_denied")
    )

    with fake(answer) as client, pytest.raises(PermissionDenied):
        client.fetch_receipt(uuid4())
    assert len(requests) == 3


def test_a_service_that_stays_away_is_told():
    answer, _ = answer_in_turn(httpx2.ConnectError("refused"))

    rules = RetryRules(0.02, 0.001, 0.01)
    with fake(answer, rules=rules) as client, pytest.raises(ServiceUnreachable):
        client.fetch_receipt(uuid4())


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(302, headers={"Location": "https://elsewhere.example"}),
        httpx2.Response(200, text="<html>"),
        httpx2.Response(404, text="nginx"),
        refuse(418, "of_a_later_release"),
    ],
)
def test_what_is_no_answer_of_ours_is_told_and_not_followed(answer):
    answering, requests = answer_in_turn(answer)

    with fake(answering) as client, pytest.raises(UnexpectedAnswer):
        client.fetch_receipt(uuid4())
    assert len(requests) == 1


def test_a_receipt_for_other_bytes_is_not_believed(client, scan):
    receipt = client.send_scan(Upload((scan,)), wait_s=30).model_dump_json()
    scan.write_bytes(b"other")

    def lie(request):
        request.read()
        return httpx2.Response(201, text=receipt)

    with fake(lie) as liar, pytest.raises(FileChanged):
        liar.send_scan(Upload((scan,)))


def test_addresses_and_form_hold_nothing_of_a_file_but_its_bytes(tmp_path, picture):
    folder = tmp_path / "DOE^JANE"
    folder.mkdir()
    (folder / "DOE^JANE.png").write_bytes(picture)
    answer, requests = answer_in_turn(refuse(507, "storage_full"))

    with fake(answer) as client, pytest.raises(StorageFull):
        client.send_scan(Upload((folder / "DOE^JANE.png",)))

    assert b"DOE" not in requests[0].content.replace(picture, b"")
    assert "DOE" not in str(requests[0].url)


def test_the_key_is_in_no_text_of_the_client(client):
    assert isinstance(client, AegleClient)
    assert client.access.key.secret not in repr(client.access)


def test_every_error_of_the_client_is_drawn_in_the_tree():
    kinds = [
        kind
        for kind in vars(app.client.errors).values()
        if isinstance(kind, type) and issubclass(kind, ClientError)
    ]

    assert all(kind.__name__ in app.client.errors.__doc__ and str(kind()) for kind in kinds)
