"""The assorted files and the MR series by STOW and by C-STORE: one verdict, whichever way."""

import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from sqlalchemy import func, select

from app.auth.permissions import Principal
from app.cases.states import Channel
from app.dicom.readers import HeaderReaders
from app.dicom.receiving import Delivery, Receiver
from app.dicom.series import settle_due_series
from app.dicom.tables import DicomInstanceRow
from app.storage.database import open_database
from app.storage.folder_store import FolderBlobStore
from app.storage.opening import Storage
from app.storage.schema import migrate_database
from app.storage.watermark import Watermark
from models.decoding.limits import DecodeLimits
from tests.fakes.clock import FakeClock

DATA = os.environ.get("AEGLE_REAL_DATA")
KEPT, CONTRADICTS, DUPLICATE = "kept", "a900 mismatched_class", "0111 duplicate_object"
LATER = datetime(2100, 1, 1, tzinfo=UTC)
SENDER = Principal("aet:CT1", "CT1", frozenset())

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.slow,
    pytest.mark.skipif(DATA is None, reason="AEGLE_REAL_DATA names no folder"),
]


@pytest.fixture(scope="module")
def readers():
    readers = HeaderReaders(DecodeLimits(), 2)
    yield readers
    readers.close()


@pytest.fixture
def open_receiver(tmp_path, readers):
    """Give a function that opens an empty service of its own."""
    opened = []

    def open_one(name):
        database = open_database(f"sqlite:///{tmp_path / name}.db", 2)
        migrate_database(database)
        store = FolderBlobStore(tmp_path / name)
        storage = Storage(database, store, Watermark((), 0))
        opened.append(Receiver(storage, readers, FakeClock(), 60.0))
        return opened[-1]

    yield open_one
    for receiver in opened:
        receiver.storage.close()


def list_files():
    folder = Path(DATA) / "dicom"
    return sorted(path for path in folder.rglob("*") if path.is_file())


def send_by_stow(receiver, path):
    """Hand a file in as a STOW part does."""
    with receiver.draft() as draft:
        draft.write(path.read_bytes())
        return receiver.receive(draft, Delivery(SENDER, Channel.DICOMWEB))


def send_by_store(receiver, path):
    """Hand a file in as the listener does: its data set behind meta information of ours."""
    try:
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        cut = find_dataset(path.read_bytes())
        meta = pydicom.dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
        buffer = pydicom.filebase.DicomBytesIO()
        pydicom.filewriter.write_file_meta_info(buffer, meta)
    except (AttributeError, ValueError, TypeError, NotImplementedError):
        return None  # no sender could have sent it
    written = receiver.storage.blobs.spool / "written.dcm"
    written.write_bytes(bytes(128) + b"DICM" + buffer.getvalue() + path.read_bytes()[cut:])
    with receiver.take_file(written) as draft:
        return receiver.receive(draft, Delivery(SENDER, Channel.DIMSE))


def find_dataset(content):
    """Find where the data set of a file begins."""
    if content[128:132] != b"DICM":
        raise ValueError("no meta information")
    start = 132
    while content[start : start + 2] == b"\x02\x00":
        is_long = content[start + 4 : start + 6] in {b"OB", b"UN", b"OW", b"UT", b"SQ"}
        place = slice(start + 8, start + 12) if is_long else slice(start + 6, start + 8)
        start += (12 if is_long else 8) + int.from_bytes(content[place], "little")
    return start


def tell(receipt):
    failure = receipt.failure
    return KEPT if failure is None else f"{failure.reason:04x} {failure.code}"


def settle(receiver):
    """Let all series become cases."""
    with receiver.storage.database.transaction() as session:
        while settle_due_series(session, LATER):
            pass


def count_rows(receiver, *conditions):
    with receiver.storage.database.reading() as session:
        query = select(func.count()).select_from(DicomInstanceRow).where(*conditions)
        return session.scalar(query)


@pytest.mark.filterwarnings("ignore")
def test_real_files_have_one_verdict_whichever_way_they_came(open_receiver, capsys):
    files = list_files()
    by_stow, by_store = open_receiver("stow"), open_receiver("store")

    told = {path: tell(send_by_stow(by_stow, path)) for path in files}
    receipts = {path: send_by_store(by_store, path) for path in files}
    settle(by_stow)

    compared = {path: tell(receipt) for path, receipt in receipts.items() if receipt is not None}
    # Whoever sends by C-STORE writes the meta information anew, so that it cannot contradict. What
    # was kept for that reason makes later files duplicates.
    differing = {
        path.name: (told[path], other)
        for path, other in compared.items()
        if other != told[path] and told[path] != CONTRADICTS and other != DUPLICATE
    }
    with capsys.disabled():
        print(f"\n{len(files)} files by STOW: {dict(Counter(told.values()))}")  # noqa: T201 - a table
        print(f"{len(compared)} by C-STORE: {dict(Counter(compared.values()))}")  # noqa: T201 - as above
    kept = sum(verdict == KEPT for verdict in told.values())
    assert kept > 250
    assert count_rows(by_stow) == kept
    assert differing == {}
    lone = (DicomInstanceRow.is_scan, DicomInstanceRow.case_id.is_(None))
    assert count_rows(by_stow, *lone) == 0
