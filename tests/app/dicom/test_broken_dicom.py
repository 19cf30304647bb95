"""Broken STOW messages and associations, a few hundred; `make stress` sends them for longer."""

import threading
import time
from pathlib import Path

import pytest

from app.dicom.listener import ListenerRules, StoreListener
from app.dicom.readers import HeaderReaders
from app.dicom.receiving import Receiver
from app.storage.opening import Storage
from app.storage.watermark import Watermark
from models.decoding.limits import DecodeLimits
from tests.builders.dicom_fuzz import DimseFuzz, FuzzTally, StowFuzz, send_object
from tests.builders.stow import build_object, make_uid

MESSAGES, ASSOCIATIONS = 200, 60
PATIENCE_S = 30.0


@pytest.fixture
def listener(database, blobs, clock, monkeypatch):
    """A listener of four places."""
    monkeypatch.setattr("tempfile.tempdir", None)
    readers = HeaderReaders(DecodeLimits(), 1)
    receiver = Receiver(Storage(database, blobs, Watermark((), 0)), readers, clock, 60.0)
    rules = ListenerRules("AEGLE", ("CT1",), 4, 65_536, 2**20, None)
    listener = StoreListener(receiver, rules)
    listener.start("127.0.0.1", 0)
    yield listener
    listener.stop(1.0)
    receiver.close()


def count_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_broken_messages_are_never_a_server_error(client):
    fuzz, tally = StowFuzz(client, 7), FuzzTally()

    for _ in range(MESSAGES):
        fuzz.try_once(tally)

    assert tally.faults == []
    assert len(tally.acknowledged) > MESSAGES / 20
    assert len(tally.answers) > 3
    found = [
        client.get("/dicom-web/instances", params={"SOPInstanceUID": uid}).json()
        for uid in tally.acknowledged
    ]
    assert all(found)


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_broken_associations_leave_nothing_behind(listener):
    fuzz, tally = DimseFuzz(listener.port, 7), FuzzTally()
    fuzz.try_once(tally)
    files, threads = count_files(), threading.active_count()

    for _ in range(ASSOCIATIONS):
        fuzz.try_once(tally)

    deadline = time.monotonic() + PATIENCE_S
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.1)
    assert tally.faults == []
    assert threading.active_count() <= threads
    assert count_files() <= files
    assert send_object(listener.port, build_object(make_uid(), make_uid())) == 0
    assert list((listener._receiver.storage.blobs.spool / "dimse").iterdir()) == []
