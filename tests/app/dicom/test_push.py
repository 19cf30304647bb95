"""Objects sent to peers that take them, refuse them, or are away."""

import io
import json
from contextlib import contextmanager

import httpx2
import pydicom
import pytest
from pynetdicom import AE, evt

from app.dicom.errors import PeerRefused, PeerUnreachable
from app.dicom.push import ObjectSender, PushTarget, parse_targets
from app.errors import SettingsError
from tests.builders.dicom import read_bundled

CONTENT = read_bundled("CT_small.dcm")
STOW = PushTarget("pacs", "http://127.0.0.1:1/dicom-web", "secret")


def make_sender(answer) -> ObjectSender:
    return ObjectSender("AEGLE", transport=httpx2.MockTransport(answer))


def test_an_object_is_sent_by_stow():
    seen = []

    def answer(request):
        seen.append(request)
        return httpx2.Response(200, json={"00081199": {"vr": "SQ", "Value": [{}]}})

    make_sender(answer).send(STOW, CONTENT)

    (request,) = seen
    assert request.url.path == "/dicom-web/studies"
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["content-type"].startswith('multipart/related; type="application/dicom"')
    assert CONTENT in request.content


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (503, b"", PeerUnreachable),
        (429, b"", PeerUnreachable),
        (409, b"", PeerRefused),
        (301, b"", PeerRefused),
        (200, json.dumps({"00081198": {"vr": "SQ", "Value": [{}]}}).encode(), PeerRefused),
    ],
)
def test_an_answer_that_is_no_yes_is_an_error(status, body, error):
    sender = make_sender(lambda _: httpx2.Response(status, content=body))

    with pytest.raises(error):
        sender.send(STOW, CONTENT)


def test_a_peer_that_is_away_is_unreachable():
    def refuse(_request):
        raise httpx2.ConnectError("away")

    with pytest.raises(PeerUnreachable):
        make_sender(refuse).send(STOW, CONTENT)


@contextmanager
def run_scp(status: int, received: list[bytes]):
    def store(event):
        received.append(event.dataset.SOPInstanceUID)
        return status

    entity = AE(ae_title="PACS")
    entity.add_supported_context(pydicom.dcmread(io.BytesIO(CONTENT)).SOPClassUID)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    try:
        yield f"dicom://PACS@127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def test_an_object_is_sent_by_c_store():
    received = []

    with run_scp(0x0000, received) as url:
        ObjectSender("AEGLE").send(PushTarget("pacs", url), CONTENT)

    assert received == [pydicom.dcmread(io.BytesIO(CONTENT)).SOPInstanceUID]


def test_a_status_of_failure_is_a_refusal():
    with run_scp(0xA700, []) as url, pytest.raises(PeerRefused, match="A700"):
        ObjectSender("AEGLE").send(PushTarget("pacs", url), CONTENT)


def test_no_listener_is_unreachable():
    with pytest.raises(PeerUnreachable):
        ObjectSender("AEGLE").send(PushTarget("pacs", "dicom://PACS@127.0.0.1:9"), CONTENT)


def test_targets_are_parsed():
    targets = parse_targets(
        {"a": "https://pacs/dicom-web", "b": "dicom://AE@host:104"}, {"a": "t"}, ["b"]
    )

    assert [target.is_deidentified for target in targets] == [False, True]


@pytest.mark.parametrize(
    ("urls", "tokens", "bare"),
    [
        ({"a": "ftp://pacs"}, {}, []),
        ({"a": "dicom://host:104"}, {}, []),
        ({"a": "dicom://AE@host"}, {}, []),
        ({"a": "http://pacs/dicom-web"}, {"a": "token"}, []),
        ({}, {"a": "token"}, []),
        ({}, {}, ["a"]),
    ],
)
def test_targets_that_cannot_be_are_refused(urls, tokens, bare):
    with pytest.raises(SettingsError):
        parse_targets(urls, tokens, bare)
