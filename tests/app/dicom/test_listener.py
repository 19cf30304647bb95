"""Objects that come by C-STORE: who may send them, what is answered, and that nothing ends us."""

import shutil
import socket
import ssl
import struct
import subprocess
import time

import numpy as np
import pydicom
import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, Verification

from app.dicom.listener import ListenerRules, StoreListener, open_tls
from app.dicom.readers import HeaderReaders
from app.dicom.receiving import Receiver
from app.dicom.repository import DicomRepository
from app.storage.opening import Storage
from app.storage.watermark import Watermark
from models.decoding.limits import DecodeLimits
from tests.builders.certificates import write_certificate
from tests.builders.stow import build_object, make_uid

CALLER, OURS = "CT1", "AEGLE"
PATIENCE_S = 10.0


@pytest.fixture
def storage(database, blobs):
    return Storage(database, blobs, Watermark((), 0))


@pytest.fixture(scope="module")
def readers():
    readers = HeaderReaders(DecodeLimits(), 1)
    yield readers
    readers.close()


@pytest.fixture
def open_listener(storage, readers, clock, monkeypatch):
    """Give a function that opens a listener by rules; it is closed after the test."""
    monkeypatch.setattr("tempfile.tempdir", None)
    opened = []

    def open_one(**changes):
        rules = {
            "ae_title": OURS,
            "callers": (CALLER,),
            "associations": 4,
            "pdu_bytes": 65_536,
            "object_bytes": 2**20,
            "tls": None,
        }
        receiver = Receiver(storage, readers, clock, 60.0)
        listener = StoreListener(receiver, ListenerRules(**(rules | changes)))
        listener.start("127.0.0.1", 0)
        opened.append(listener)
        return listener

    yield open_one
    for listener in opened:
        listener.stop(1.0)


@pytest.fixture
def listener(open_listener):
    return open_listener()


def associate(listener, caller=CALLER, called=OURS, **options):
    entity = AE(caller)
    entity.add_requested_context(Verification)
    entity.add_requested_context(CTImageStorage)
    return entity.associate("127.0.0.1", listener.port, ae_title=called, **options)


def store(listener, *contents):
    """Send files over one association and give the statuses."""
    association = associate(listener)
    assert association.is_established
    statuses = [association.send_c_store(read(content)).get("Status") for content in contents]
    association.release()
    return statuses


def read(content):
    return pydicom.dcmread(pydicom.filebase.DicomBytesIO(content), force=True)


def find_instance(storage, sop_uid):
    with storage.database.reading() as session:
        return DicomRepository(session).find_instance(sop_uid)


def record_request(listener):
    """Give the bytes by which a peer asks for an association."""
    sent = []
    handlers = [(evt.EVT_DATA_SENT, lambda event: sent.append(event.data))]
    associate(listener, evt_handlers=handlers).release()
    return sent[0]


def await_quiet(listener):
    """Wait until no association is left."""
    deadline = time.monotonic() + PATIENCE_S
    while listener._server.active_associations:
        assert time.monotonic() < deadline, "an association was left behind"
        time.sleep(0.01)


def await_empty(folder):
    deadline = time.monotonic() + PATIENCE_S
    while list(folder.iterdir()):
        assert time.monotonic() < deadline, list(folder.iterdir())
        time.sleep(0.02)


def test_an_object_that_is_answered_with_success_is_on_disk(listener, storage):
    uid = make_uid()

    statuses = store(listener, build_object(make_uid(), make_uid(), SOPInstanceUID=uid))

    row = find_instance(storage, uid)
    assert statuses == [0x0000]
    assert row.size_bytes == storage.blobs.check(row.sha256)
    assert read(storage.blobs.read(row.sha256)).SOPInstanceUID == uid


def test_a_peer_may_ask_whether_we_are_there(listener):
    association = associate(listener)

    status = association.send_c_echo()

    association.release()
    assert status.Status == 0x0000


@pytest.mark.parametrize(("caller", "called"), [("STRANGER", OURS), (CALLER, "OTHER")])
def test_strangers_and_calls_for_others_are_rejected(listener, caller, called):
    association = associate(listener, caller, called)

    assert association.is_rejected


def test_more_associations_than_allowed_are_rejected(open_listener):
    listener = open_listener(associations=1)
    first = associate(listener)

    second = associate(listener)

    first.release()
    assert second.is_rejected


def test_a_full_disk_is_told_as_out_of_resources(listener, storage):
    storage.watermark.measures = (lambda: 0,)
    storage.watermark.min_free_bytes = 1

    statuses = store(listener, build_object(make_uid(), make_uid()))

    assert statuses == [0xA700]


@pytest.mark.parametrize(
    ("attributes", "status"),
    [({"StudyInstanceUID": None}, 0xC001), ({"SeriesInstanceUID": "1.2."}, 0xC001)],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_what_is_refused_has_its_reason_and_the_next_object_is_taken(listener, attributes, status):
    bad = build_object(make_uid(), make_uid(), **attributes)
    good = build_object(make_uid(), make_uid())

    statuses = store(listener, bad, good)

    assert statuses == [status, 0x0000]


def test_another_object_under_a_known_uid_is_refused(listener):
    study, uid = make_uid(), make_uid()
    same = build_object(study, make_uid(), SOPInstanceUID=uid)

    statuses = store(listener, same, same, build_object(study, make_uid(), SOPInstanceUID=uid))

    assert statuses == [0x0000, 0x0000, 0x0111]


def test_an_object_over_the_limit_ends_its_association_and_leaves_nothing(open_listener, storage):
    listener = open_listener(object_bytes=4096)
    association = associate(listener)

    answer = association.send_c_store(read(build_object(make_uid(), make_uid())))

    assert answer.get("Status") is None
    await_empty(storage.blobs.spool / "dimse")


def test_a_handler_that_fails_costs_one_object(listener, monkeypatch):
    receive = listener._receiver.receive
    failures = iter([RuntimeError("a bug")])

    def fail_once(*arguments):
        for failure in failures:
            raise failure
        return receive(*arguments)

    monkeypatch.setattr(listener._receiver, "receive", fail_once)

    statuses = store(listener, *(build_object(make_uid(), make_uid()) for _ in range(2)))

    assert statuses == [0x0110, 0x0000]


def test_tls_alone_is_taken_where_there_is_a_certificate(open_listener, tmp_path):
    certificate, key = write_certificate(tmp_path)
    listener = open_listener(tls=open_tls(certificate, key, None))
    trusting = ssl.create_default_context(cafile=str(certificate))

    with socket.create_connection(("127.0.0.1", listener.port)):  # silent; keeps nobody out
        over_tls = associate(listener, tls_args=(trusting, "localhost"))
        established = over_tls.is_established
        over_tls.release()

    assert established


def test_a_length_that_a_peer_only_declares_takes_no_memory(listener):
    with socket.create_connection(("127.0.0.1", listener.port), timeout=PATIENCE_S) as peer:
        peer.sendall(struct.pack(">BBI", 4, 0, 2**32 - 1) + bytes(1000))

        peer.settimeout(PATIENCE_S)
        answer = peer.recv(100)

    assert answer[:1] in {b"", b"\x07"}
    assert store(listener, build_object(make_uid(), make_uid())) == [0x0000]


def test_noise_after_an_association_ends_it_and_nothing_else(listener, storage):
    noise = np.random.default_rng(7)
    request = record_request(listener)

    for kind in (1, 2, 3, 4, 5, 6, 7, 8, 255):
        for length in noise.integers(1, 4000, 4):
            with socket.create_connection(("127.0.0.1", listener.port), PATIENCE_S) as peer:
                peer.sendall(request)
                assert peer.recv(1) == b"\x02", "the association was not accepted"
                body = noise.bytes(int(length))
                peer.sendall(struct.pack(">BBI", kind, 0, len(body)) + body)
            await_quiet(listener)

    assert store(listener, build_object(make_uid(), make_uid())) == [0x0000]
    await_empty(storage.blobs.spool / "dimse")


@pytest.mark.parametrize("tool", ["storescu", "dcmsend"])
def test_tools_of_the_field_send_to_us(listener, tool, tmp_path):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed: apt-get install dcmtk")
    path = tmp_path / "slice.dcm"
    path.write_bytes(build_object(make_uid(), make_uid()))
    address = ["-aet", CALLER, "-aec", OURS, "127.0.0.1", str(listener.port)]

    done = subprocess.run([tool, *address, path], capture_output=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr


def test_echoscu_is_answered(listener):
    if shutil.which("echoscu") is None:
        pytest.skip("echoscu is not installed: apt-get install dcmtk")
    command = ["echoscu", "-aet", CALLER, "-aec", OURS, "127.0.0.1", str(listener.port)]

    done = subprocess.run(command, capture_output=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
