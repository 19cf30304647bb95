import threading
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.cases.tables import UploadRow
from app.errors import BlobNotFound, BlobStoreUnavailable
from app.storage.identifiers import draw_id
from app.storage.object_store import S3Access, open_s3_store
from app.storage.service import collect_blobs, register_blob, verify_blobs
from tests.fakes.s3 import run_fake_s3


def _keep(database, blobs, clock, content, *, is_referenced):
    blob = blobs.write(content)
    with database.transaction() as session:
        register_blob(session, blobs, blob, clock.now())
        if is_referenced:
            session.add(
                UploadRow(
                    id=draw_id(clock.now()),
                    sender="key:1",
                    sha256=blob.sha256,
                    size_bytes=blob.size_bytes,
                    received_at=clock.now(),
                )
            )
    return blob.sha256


def test_the_collector_takes_what_nothing_refers_to_and_leaves_the_rest(database, blobs, clock):
    kept = _keep(database, blobs, clock, b"kept", is_referenced=True)
    lost = _keep(database, blobs, clock, b"lost", is_referenced=False)

    done = collect_blobs(database, blobs, clock.now() + timedelta(hours=1))

    assert blobs.exists(kept)
    assert not blobs.exists(lost)
    assert (done.blob_count, done.freed_bytes) == (1, 4)


def test_the_collector_leaves_young_blobs_alone(database, blobs, clock):
    young = _keep(database, blobs, clock, b"young", is_referenced=False)

    collect_blobs(database, blobs, clock.now() - timedelta(hours=1))

    assert blobs.exists(young)


def test_the_collector_takes_files_without_row_and_old_drafts(database, blobs, clock):
    blob = blobs.write(b"stray")
    (blobs.spool / "draft-old").write_bytes(b"half")

    done = collect_blobs(database, blobs, clock.now() + timedelta(days=365 * 50))

    assert not blobs.exists(blob.sha256)
    assert done.draft_count == 1


def test_an_upload_that_lost_its_file_to_the_collector_is_told(database, blobs, clock):
    blob = blobs.write(b"raced")
    blobs.delete(blob.sha256)

    with database.transaction() as session, pytest.raises(BlobNotFound):
        register_blob(session, blobs, blob, clock.now())


def test_uploads_and_collector_at_once_never_lose_a_registered_blob(database, blobs, clock):
    stop = threading.Event()
    later = clock.now() + timedelta(days=365 * 50)

    def collect() -> None:
        while not stop.is_set():
            collect_blobs(database, blobs, later)

    thread = threading.Thread(target=collect)
    thread.start()
    lost = []
    for number in range(8):
        content = f"scan {number}".encode()
        digest = _keep_until_registered(database, blobs, clock, content)
        if not blobs.exists(digest):
            lost.append(digest)
    stop.set()
    thread.join()

    assert lost == []


def _keep_until_registered(database, blobs, clock, content):
    for _ in range(50):
        try:
            return _keep(database, blobs, clock, content, is_referenced=True)
        except (BlobNotFound, BlobStoreUnavailable):  # so late a collector takes drafts too
            continue
    raise TimeoutError


def test_the_database_itself_refuses_to_forget_a_referenced_blob(database, blobs, clock):
    digest = _keep(database, blobs, clock, b"kept", is_referenced=True)

    with database.transaction() as session, pytest.raises(IntegrityError):
        session.execute(text("DELETE FROM blobs WHERE sha256 = :d"), {"d": digest})


def test_verify_names_missing_and_corrupt_blobs(database, blobs, clock):
    right = _keep(database, blobs, clock, b"right", is_referenced=True)
    missing = _keep(database, blobs, clock, b"missing", is_referenced=True)
    corrupt = _keep(database, blobs, clock, b"corrupt", is_referenced=True)
    blobs.delete(missing)
    path = blobs.find_path(corrupt)
    path.chmod(0o600)
    path.write_bytes(b"changed")

    faults = {fault.sha256: fault.fault for fault in verify_blobs(database, blobs) if fault}

    assert faults == {missing: "missing", corrupt: "corrupt"}
    assert right not in faults


def test_an_object_store_is_verified_and_collected_like_a_folder(database, clock, tmp_path):
    with run_fake_s3() as server:
        access = S3Access("s3://bucket/scans", server.url, "us-east-1", "key", "secret")
        store = open_s3_store(access, tmp_path / "spool")
        right = _keep(database, store, clock, b"right", is_referenced=True)
        missing = _keep(database, store, clock, b"missing", is_referenced=True)
        corrupt = _keep(database, store, clock, b"corrupt", is_referenced=True)
        stray = store.write(b"stray").sha256
        store.delete(missing)
        server.objects[next(key for key in server.objects if key.endswith(corrupt))] = b"changed"

        faults = {fault.sha256: fault.fault for fault in verify_blobs(database, store) if fault}
        done = collect_blobs(database, store, clock.now() + timedelta(hours=1))

        left = {entry.sha256 for entry in store.list_blobs()}
    assert faults == {missing: "missing", corrupt: "corrupt"}
    assert done.blob_count == 1
    assert left == {right, corrupt}
    assert stray not in left
