"""A full disk is told as 507, reading goes on, and afterwards all is as before."""

import errno
import os

import pytest
from sqlalchemy import event, text

import app.storage.blobs

SCANS = "/api/v1/scans?wait=30"


def fill_watermark(service, monkeypatch):
    monkeypatch.setattr(service.state.storage.watermark, "min_free_bytes", 2**62)


def fill_blobs(_service, monkeypatch):
    def refuse(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(app.storage.blobs.os, "fsync", refuse)


def fill_database(service, _monkeypatch):
    engine = service.state.storage.database.writer
    with service.state.storage.database.reading() as session:
        pages = session.execute(text("PRAGMA page_count")).scalar()
        free = session.execute(text("PRAGMA freelist_count")).scalar()
    limit = [pages - free]

    def bound(raw, *_):
        raw.execute(f"PRAGMA max_page_count={limit[0]}")

    event.listen(engine, "checkout", bound)
    return lambda: limit.__setitem__(0, 2**30)


def send_until_refused(client, picture):
    """Send until the first 507; bytes behind the end of a PNG make it another upload."""
    for number in range(60):
        answer = client.post("/api/v1/scans", content=picture + bytes([number]))
        if answer.status_code != 202:
            return answer
    return answer


@pytest.mark.parametrize("fill", [fill_watermark, fill_blobs, fill_database])
def test_uploads_are_refused_with_507_while_cases_are_read(client, service, picture, fill):
    kept = client.post(SCANS, content=picture).json()["cases"][0]["id"]

    with pytest.MonkeyPatch.context() as patch:
        release = fill(service, patch)
        refused = send_until_refused(client, picture)
        listed = client.get("/api/v1/cases", params={"limit": 200})
        drafts = list(service.state.storage.blobs.spool.glob("draft-*"))
    if release is not None:
        release()
    again = client.post(SCANS, content=picture + b"again")

    assert refused.status_code == 507
    assert refused.json()["error"]["code"] == "storage_full"
    assert kept in {case["id"] for case in listed.json()["items"]}
    assert drafts == []
    assert again.status_code == 201
    assert client.get(f"/api/v1/cases/{kept}").status_code == 200
