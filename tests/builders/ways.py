"""Files handed to a service by every way in, and what became of each, in one form."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from fastapi.testclient import TestClient
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info

from app.cases.states import CaseState, Channel
from app.cases.tables import CaseRow
from app.dicom.indexing import Delivery
from app.dicom.receipts import ObjectReceipt
from app.dicom.receiving import Receiver
from app.dicom.repository import DicomRepository
from app.dicom.series import settle_due_series
from tests.builders.objects import MODALITY, receive_object
from tests.builders.pictures import build_zip

SCORED, UNSCORED, UNSENDABLE = "scored", "kept_unscored", "cannot be sent"


@dataclass(frozen=True)
class Fate:
    """What became of a file: scored, kept beside, or why neither; and why it is not indexed."""

    word: str
    index_code: str | None = None

    @property
    def reason(self) -> str:
        """The one word that is compared: what keeps a file out of the index comes first."""
        return self.index_code or self.word


Fates = dict[Path, Fate]
Way = Callable[[TestClient, Sequence[Path]], Fates]


def send_by_stow(client: TestClient, files: Sequence[Path]) -> Fates:
    """Hand files in as parts of STOW messages are, then let their series become cases."""
    return _send_objects(client, files, _receive_part)


def send_by_store(client: TestClient, files: Sequence[Path]) -> Fates:
    """Hand files in as the listener does, whose senders write meta information anew."""
    return _send_objects(client, files, _receive_store)


def send_by_rest(client: TestClient, files: Sequence[Path]) -> Fates:
    """Hand files in one by one over REST."""
    fates = {}
    for path in files:
        answer = client.post("/api/v1/scans", params={"wait": 60}, content=path.read_bytes())
        told = answer.json()
        failed = answer.status_code not in {200, 201}
        fates[path] = Fate(told["error"]["code"]) if failed else _read_file(told["files"][0])
    return fates


def send_by_zip(client: TestClient, files: Sequence[Path]) -> Fates:
    """Hand files in as one zip."""
    names = {f"{number:05}": path for number, path in enumerate(files)}
    content = build_zip({name: path.read_bytes() for name, path in names.items()})
    answer = client.post("/api/v1/scans", params={"wait": 600}, content=content)
    assert answer.status_code in {201, 202}, answer.text
    place = answer.headers["Location"]
    while not (told := client.get(place).json())["is_done"]:
        time.sleep(0.05)
    return {names[file["label"]]: _read_file(file) for file in told["files"]}


def _read_file(file: dict[str, Any]) -> Fate:
    return Fate(file["failure_code"] or (SCORED if file["verdict"] else "lost"), file["index_code"])


def _send_objects(
    client: TestClient,
    files: Sequence[Path],
    receive: Callable[[Receiver, Path], ObjectReceipt | None],
) -> Fates:
    receiver: Receiver = client.app.state.receiver  # type: ignore[attr-defined] # of the service
    receipts = {path: receive(receiver, path) for path in files}
    with receiver.storage.database.transaction() as session:
        while settle_due_series(session, client.app.clock.now()):  # type: ignore[attr-defined] # as above
            pass
    return {path: _find_fate(client, receipt) for path, receipt in receipts.items()}


def _receive_part(receiver: Receiver, path: Path) -> ObjectReceipt:
    return receive_object(receiver, path.read_bytes(), Channel.DICOMWEB)


def _receive_store(receiver: Receiver, path: Path) -> ObjectReceipt | None:
    try:
        content = _write_meta_anew(path)
    except (AttributeError, ValueError, TypeError, NotImplementedError):
        return None  # no sender could have sent it
    written = receiver.storage.blobs.spool / "written.dcm"
    written.write_bytes(content)
    with receiver.take_file(written) as draft:
        return receiver.receive(draft, Delivery(MODALITY, Channel.DIMSE))


def _write_meta_anew(path: Path) -> bytes:
    dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    content = path.read_bytes()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta)
    return bytes(128) + b"DICM" + buffer.getvalue() + content[_find_dataset(content) :]


def _find_dataset(content: bytes) -> int:
    """Find where the data set of a file begins."""
    if content[128:132] != b"DICM":
        raise ValueError("no meta information")
    start = 132
    while content[start : start + 2] == b"\x02\x00":
        is_long = content[start + 4 : start + 6] in {b"OB", b"UN", b"OW", b"UT", b"SQ"}
        place = slice(start + 8, start + 12) if is_long else slice(start + 6, start + 8)
        start += (12 if is_long else 8) + int.from_bytes(content[place], "little")
    return start


def _find_fate(client: TestClient, receipt: ObjectReceipt | None) -> Fate:
    if receipt is None:
        return Fate(UNSENDABLE)
    if receipt.failure is not None:
        return Fate(receipt.failure.code)
    return _await_fate(client, str(receipt.sop_uid))


def _await_fate(client: TestClient, sop_uid: str) -> Fate:
    database = client.app.state.storage.database  # type: ignore[attr-defined] # of the service
    watch = client.app.state.series_watch  # type: ignore[attr-defined] # as above
    while True:
        with database.reading() as session:
            row = DicomRepository(session).find_instance(sop_uid)
            if row is None:
                return Fate("lost")
            case = None if row.case_id is None else session.get(CaseRow, row.case_id)
            if case is None:
                return Fate("lost" if row.is_scan else UNSCORED)
            if case.state == CaseState.SCORED:
                return Fate(SCORED)
            if case.state == CaseState.QUARANTINED:
                return Fate(case.failure_code or "lost")
        watch.wake()
        time.sleep(0.05)
