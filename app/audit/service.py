"""The audit trail: who did what to which thing, each entry bound to the one before by its digest.

A changed, removed or inserted entry breaks the chain. Cutting off its end does not; against that
the head (number and digest of the last entry) is logged and printed by `aegle audit verify`, and
can be checked again later.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from app.audit.repository import AuditRepository
from app.audit.tables import AuditEntryRow
from app.errors import AuditChainBroken
from app.request_context import request_id

START_SHA256 = "0" * 64

Detail = Mapping[str, str | int | bool | None]


class Action(StrEnum):
    """What is written to the trail."""

    SETUP_DONE = "setup_done"
    LOGIN_DONE = "login_done"
    LOGIN_REFUSED = "login_refused"
    LOGOUT_DONE = "logout_done"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a word of the trail
    ACCESS_REFUSED = "access_refused"
    KEY_CREATED = "key_created"
    KEY_REVOKED = "key_revoked"
    USER_DISABLED = "user_disabled"
    USER_ENABLED = "user_enabled"
    USER_ROLE_CHANGED = "user_role_changed"
    SCAN_ACCEPTED = "scan_accepted"
    PAGE_VIEWED = "page_viewed"
    CASE_VIEWED = "case_viewed"
    CASE_EXPORTED = "case_exported"
    CASE_DELETED = "case_deleted"
    CASE_SCORED = "case_scored"
    CASE_QUARANTINED = "case_quarantined"
    REVIEW_MADE = "review_made"
    REVIEW_UNDONE = "review_undone"
    BUNDLE_ADDED = "bundle_added"
    BUNDLE_MOVED = "bundle_moved"
    REPORT_KEPT = "report_kept"
    JOB_STARTED = "job_started"
    JOB_CANCELLED = "job_cancelled"
    JOB_DONE = "job_done"
    JOB_FAILED = "job_failed"
    AUDIT_EXPORTED = "audit_exported"


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth an entry; `subject` is `kind:id`, `detail` holds no patient data."""

    actor: str
    action: Action
    subject: str
    detail: Detail


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last entry of the trail; number 0 is an empty one."""

    sequence: int
    sha256: str


def record_event(session: Session, event: Event, at: datetime) -> ChainHead:
    """Append an entry inside the transaction of what it tells; both are committed or neither.

    Entries of one moment wait for each other until the commit: append last.
    """
    repository = AuditRepository(session)
    repository.lock()
    head = repository.find_head()
    last = ChainHead(*head) if head else ChainHead(0, START_SHA256)
    row = AuditEntryRow(
        sequence=last.sequence + 1,
        at=at,
        actor=event.actor,
        action=event.action.value,
        subject=event.subject,
        detail=dict(event.detail),
        request_id=request_id.get(),
        previous_sha256=last.sha256,
        sha256="",
    )
    row.sha256 = digest_entry(row)
    repository.add(row)
    return ChainHead(row.sequence, row.sha256)


def verify_chain(session: Session, expected: ChainHead | None = None) -> ChainHead:
    """Go through the whole trail and give its head.

    Args:
        session: a reading session.
        expected: a head noted earlier; the trail must still hold that entry.

    Raises:
        AuditChainBroken: an entry was changed, removed or inserted; names its number.
    """
    head = ChainHead(0, START_SHA256)
    is_met = expected is None or expected == head
    for row in AuditRepository(session).stream_entries():
        if row.sequence != head.sequence + 1:
            raise AuditChainBroken(f"entry {head.sequence + 1} is missing")
        if row.previous_sha256 != head.sha256 or row.sha256 != digest_entry(row):
            raise AuditChainBroken(f"entry {row.sequence} does not fit the one before it")
        head = ChainHead(row.sequence, row.sha256)
        is_met = is_met or head == expected
    if expected is not None and not is_met:
        raise AuditChainBroken(f"entry {expected.sequence} is not the one that was noted")
    return head


def digest_entry(row: AuditEntryRow) -> str:
    """Digest everything an entry says, and the digest of the entry before."""
    said = [
        row.sequence,
        row.at.isoformat(timespec="microseconds"),
        row.actor,
        row.action,
        row.subject,
        row.detail,
        row.request_id,
        row.previous_sha256,
    ]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
