"""One suite over both stores."""

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import BlobCorrupt, BlobNotFound, BlobStoreUnavailable, StorageFull
from app.storage.blobs import BlobStore
from app.storage.folder_store import FolderBlobStore
from app.storage.object_store import S3Access, open_s3_store
from tests.fakes.s3 import run_fake_s3

CONTENT = b"pixels" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobStore]:
    """An empty store of each kind."""
    if request.param == "folder":
        yield FolderBlobStore(tmp_path / "blobs")
        return
    with run_fake_s3() as server:
        access = S3Access("s3://bucket", server.url, "us-east-1", "key", "secret")
        yield open_s3_store(access, tmp_path / "spool")


def test_a_kept_blob_is_named_by_its_digest_and_read_back(store):
    blob = store.write(CONTENT)

    assert (blob.sha256, blob.size_bytes) == (DIGEST, len(CONTENT))
    assert store.read(DIGEST) == CONTENT


def test_pieces_make_the_same_blob_as_the_whole(store):
    with store.draft() as draft:
        for start in range(0, len(CONTENT), 700):
            draft.write(CONTENT[start : start + 700])
        blob = draft.keep()

    assert blob.sha256 == DIGEST
    assert store.check(DIGEST) == len(CONTENT)


def test_the_same_bytes_twice_are_one_blob(store):
    store.write(CONTENT)
    store.write(CONTENT)

    assert [entry.sha256 for entry in store.list_blobs()] == [DIGEST]


def test_a_draft_that_is_not_kept_leaves_nothing(store):
    with store.draft() as draft:
        draft.write(CONTENT)

    assert list(store.list_blobs()) == []
    assert list(store.spool.iterdir()) == []


def test_no_draft_stays_behind_a_kept_blob(store):
    store.write(CONTENT)

    assert list(store.spool.iterdir()) == []


def test_a_deleted_blob_is_gone_and_may_be_deleted_again(store):
    store.write(CONTENT)

    store.delete(DIGEST)
    store.delete(DIGEST)

    assert not store.exists(DIGEST)


def test_a_missing_blob_is_not_found(store):
    with pytest.raises(BlobNotFound):
        store.read(DIGEST)


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "A" * 64, "1.2.840/../x", "a" * 65, "é" * 64]
)
@pytest.mark.parametrize("act", ["read", "exists", "delete", "find_path"])
def test_what_is_no_digest_names_no_blob(store, name, act):
    with pytest.raises(BlobNotFound):
        getattr(store, act)(name)


@given(content=st.binary(max_size=5000))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_survive(store, content):
    blob = store.write(content)

    assert store.read(blob.sha256) == content


def test_a_blob_whose_bytes_changed_is_corrupt(tmp_path):
    store = FolderBlobStore(tmp_path)
    store.write(CONTENT)
    path = store.find_path(DIGEST)
    assert path is not None
    path.chmod(0o600)
    path.write_bytes(b"other")

    with pytest.raises(BlobCorrupt):
        store.read(DIGEST)


def test_a_blob_cut_short_by_a_crash_of_the_disk_is_mended_by_a_new_upload(tmp_path):
    store = FolderBlobStore(tmp_path)
    store.write(CONTENT)
    path = store.find_path(DIGEST)
    assert path is not None
    path.chmod(0o600)
    path.write_bytes(CONTENT[:100])

    store.write(CONTENT)

    assert store.read(DIGEST) == CONTENT


def test_bytes_are_synced_before_the_rename_and_the_folder_after(tmp_path, monkeypatch):
    store = FolderBlobStore(tmp_path)
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(
        os, "fsync", lambda fd: calls.append("folder" if _is_folder(fd) else "file") or fsync(fd)
    )
    monkeypatch.setattr(Path, "replace", lambda a, b: calls.append("rename") or replace(a, b))

    store.write(CONTENT)

    assert calls == ["file", "rename", "folder"]


def _is_folder(descriptor: int) -> bool:
    return Path(f"/proc/self/fd/{descriptor}").resolve().is_dir()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_507_and_leaves_nothing(tmp_path, monkeypatch, number):
    store = FolderBlobStore(tmp_path)

    def fail(_: int) -> None:
        raise OSError(number, "no room")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageFull) as caught:
        store.write(CONTENT)

    monkeypatch.undo()
    assert caught.value.status == 507
    assert list(store.list_blobs()) == []
    assert list(store.spool.iterdir()) == []


def test_a_store_that_refuses_is_a_503_and_never_a_silent_success(tmp_path):
    with run_fake_s3() as server:
        access = S3Access("s3://bucket", server.url, "us-east-1", "key", "secret")
        store = open_s3_store(access, tmp_path / "spool")
        server.is_down = True

        with pytest.raises(BlobStoreUnavailable) as caught:
            store.write(CONTENT)

    assert caught.value.status == 503


def open_fake(server, tmp_path):
    access = S3Access("s3://bucket", server.url, "us-east-1", "key", "secret")
    return open_s3_store(access, tmp_path / "spool")


def test_a_large_blob_goes_to_the_object_store_in_parts_and_comes_back(tmp_path):
    content = os.urandom(1024 * 1024) * 17
    with run_fake_s3() as server:
        store = open_fake(server, tmp_path)
        blob = store.write(content)
        size_bytes = store.check(blob.sha256)

    assert max(server.part_counts.values()) == 4  # of 5 MiB
    assert server.uploads == {}
    assert size_bytes == len(content)


def test_a_list_of_many_pages_is_listed_whole(tmp_path):
    with run_fake_s3() as server:
        server.page_size = 2
        store = open_fake(server, tmp_path)
        written = {store.write(bytes([number])).sha256 for number in range(5)}
        listed = [entry.sha256 for entry in store.list_blobs()]

    assert sorted(listed) == sorted(written)
