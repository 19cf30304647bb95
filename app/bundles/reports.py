"""Evaluation reports: the page that `aegle evaluate --report` writes, kept beside its bundle.

It is a document from outside. It is given with a policy that lets it run nothing, load nothing and
know nothing of the page around it; what it shows of scans was chosen by whoever handed it in.
"""

from collections.abc import Mapping
from datetime import datetime

from app.audit.service import Action, Event, record_event
from app.bundles.repository import BundleRepository
from app.bundles.tables import BundleReportRow
from app.clock import Clock
from app.errors import InvalidRequest, ReportNotFound
from app.storage.blobs import BlobDraft
from app.storage.opening import Storage
from app.storage.service import register_blob

MAX_REPORT_BYTES = 32 * 2**20
REPORT_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",
}


def keep_report(storage: Storage, digest: str, draft: BlobDraft, by: str, clock: Clock) -> datetime:
    """Keep the report of a bundle in place of the one before, and tell when.

    Raises:
        BundleNotRegistered: there is no such bundle.
        InvalidRequest: it is no page, or one of another bundle.
    """
    content = draft.flush().read_bytes()
    check_report(content, digest)
    blob, now = draft.keep(), clock.now()
    with storage.database.transaction() as session:
        repository = BundleRepository(session)
        repository.get(digest)
        register_blob(session, storage.blobs, blob, now)
        repository.keep_report(
            BundleReportRow(digest=digest, sha256=blob.sha256, added_at=now, added_by=by)
        )
        event = Event(by, Action.REPORT_KEPT, f"bundle:{digest}", {"sha256": blob.sha256})
        record_event(session, event, now)
    return now


def check_report(content: bytes, digest: str) -> None:
    """Look whether these bytes are a report of this very bundle.

    Raises:
        InvalidRequest: they are not.
    """
    if b"<html" not in content[:4096].lower():
        raise InvalidRequest("an evaluation report is the page that aegle evaluate --report writes")
    if digest.encode() not in content:
        raise InvalidRequest("this report does not name the digest of this bundle")


def read_report(storage: Storage, digest: str) -> bytes:
    """Give the report of a bundle.

    Raises:
        BundleNotRegistered: there is no such bundle.
        ReportNotFound: nobody has handed one in.
    """
    with storage.database.reading() as session:
        BundleRepository(session).get(digest)
        row = BundleRepository(session).find_report(digest)
    if row is None:
        raise ReportNotFound
    return storage.blobs.read(row.sha256)
