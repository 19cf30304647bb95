"""Scans by C-STORE and STOW, each in a process beside the service; both killed meanwhile."""

import io
import threading
import time

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage
from requests import Session

from app.dicom.repository import DicomRepository
from app.dicom.sockets import close_sockets_always
from app.settings import Settings
from app.storage.opening import open_storage
from tests.builders.processes import CALLER, ListenerProcess, ServiceProcess
from tests.builders.stow import build_object, make_uid

PATIENCE_S = 60.0
QUIET_S = 1.0
ROUNDS = 2
ACKNOWLEDGED = 8


class Modality(threading.Thread):
    """Sends slices of one series until the listener goes away; remembers what was acknowledged."""

    def __init__(self, port, study):
        super().__init__(daemon=True)
        self.port = port
        self.study = study
        self.acknowledged = []

    def run(self):
        close_sockets_always()
        entity = AE(CALLER)
        entity.add_requested_context(CTImageStorage)
        association = entity.associate("127.0.0.1", self.port, ae_title="AEGLE")
        series = make_uid()
        while association.is_established:
            uid = make_uid()
            position = 2.0 * len(self.acknowledged)
            content = build_object(self.study, series, position, SOPInstanceUID=uid)
            try:
                status = association.send_c_store(pydicom.dcmread(io.BytesIO(content)))
            except RuntimeError:
                return
            if status.get("Status") == 0x0000:
                self.acknowledged.append(uid)


def await_count(senders):
    deadline = time.monotonic() + PATIENCE_S
    while sum(len(sender.acknowledged) for sender in senders) < ACKNOWLEDGED:
        assert time.monotonic() < deadline, "nothing was acknowledged"
        time.sleep(0.005)


def await_settled(client, count):
    """Wait until so many cases are settled, and give their states."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        states = [case["state"] for case in client.get("/api/v1/cases").json()["items"]]
        if len(states) >= count and set(states) <= {"scored", "quarantined"}:
            return states
        assert time.monotonic() < deadline, states
        time.sleep(0.1)


def list_kept(folder, uids):
    """Give the UIDs whose bytes are in the store as they were indexed."""
    storage = open_storage(Settings(data_folder=folder, min_free_bytes=0))
    try:
        with storage.database.reading() as session:
            rows = [DicomRepository(session).find_instance(uid) for uid in uids]
            return {row.sop_uid for row in rows if row and storage.blobs.check(row.sha256)}
    finally:
        storage.close()


@pytest.mark.slow
def test_what_was_acknowledged_by_a_killed_listener_is_kept_and_scored(tiny_bundle, tmp_path):
    folder, study = tmp_path / "data", make_uid()
    acknowledged = []
    with (
        ServiceProcess(folder, tiny_bundle, dicom_quiet_s=QUIET_S) as service,
        ListenerProcess(folder, dicom_quiet_s=QUIET_S) as listener,
    ):
        for _ in range(ROUNDS):
            senders = [Modality(listener.port, study) for _ in range(2)]
            for sender in senders:
                sender.start()
            await_count(senders)
            listener.kill()
            service.kill()
            for sender in senders:
                sender.join(30)
                acknowledged += sender.acknowledged
            service.start()
            listener.start()
        service.await_ready()
        with service.open_client() as client:
            states = await_settled(client, 2 * ROUNDS)
        kept = list_kept(folder, acknowledged)

    assert len(acknowledged) >= ROUNDS * ACKNOWLEDGED
    assert kept == set(acknowledged)
    assert len(states) == 2 * ROUNDS


@pytest.mark.slow
def test_a_dicomweb_client_sends_a_series_that_is_scored_when_told_complete(tiny_bundle, tmp_path):
    study, series = make_uid(), make_uid()
    slices = [
        pydicom.dcmread(io.BytesIO(build_object(study, series, float(number))))
        for number in range(3)
    ]
    with ServiceProcess(tmp_path / "data", tiny_bundle) as service:
        service.await_ready()
        session = Session()
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {service.key}"
        peer = DICOMwebClient(f"http://127.0.0.1:{service.port}/dicom-web", session=session)

        answer = peer.store_instances(slices, study_instance_uid=study)
        with service.open_client() as client:
            told = client.post(f"/dicom-web/studies/{study}/complete").json()
            states = await_settled(client, 1)

    assert len(answer.ReferencedSOPSequence) == 3
    assert told == {"series": 1}
    assert len(states) == 1
