"""The life of a case: opened, completed, scored, quarantined, deleted.

Nothing here commits; each function may run twice with the same outcome where a job or a restart can
make it run twice.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from app.audit.service import Action, Detail, Event, record_event
from app.cases.orders import CaseFacts, NewCase, NewFinding, NewInstance, NewUpload
from app.cases.repository import CaseRepository
from app.cases.states import CaseState, ReviewState, check_move
from app.cases.tables import (
    UNSCORED_RANK,
    CaseRow,
    FindingRow,
    InstanceRow,
    UploadRow,
    rank_finding,
)
from app.errors import IdempotencyConflict
from app.storage.identifiers import draw_id

ENGINE = "engine"


def keep_upload(session: Session, new: NewUpload, at: datetime) -> tuple[UploadRow, bool]:
    """Give the receipt of an upload, and whether it is new; the same bytes are one upload.

    Raises:
        IdempotencyConflict: the idempotency key came with other bytes before.
    """
    repository = CaseRepository(session)
    if new.idempotency_key is not None:
        earlier = repository.find_upload_by_key(new.sender, new.idempotency_key)
        if earlier is not None and earlier.sha256 != new.sha256:
            raise IdempotencyConflict
    known = repository.find_upload(new.sender, new.sha256)
    if known is not None:
        return known, False
    row = UploadRow(
        id=draw_id(at),
        sender=new.sender,
        sha256=new.sha256,
        size_bytes=new.size_bytes,
        idempotency_key=new.idempotency_key,
        received_at=at,
        left_out=[asdict(each) for each in new.left_out],
        sent_sha256=new.sent_sha256,
    )
    repository.add(row)
    return row, True


def keep_bare_uploads(session: Session, new: Sequence[NewUpload], at: datetime) -> list[UUID]:
    """Give the ids of uploads without idempotency key; the same bytes are one of a sender."""
    repository = CaseRepository(session)
    known = repository.find_upload_ids([each.sha256 for each in new])
    ids = [known.get((each.sender, each.sha256)) or draw_id(at) for each in new]
    missing = {
        upload_id: each
        for upload_id, each in zip(ids, new, strict=True)
        if (each.sender, each.sha256) not in known
    }
    repository.insert_uploads(missing, at)
    return ids


def open_case(session: Session, new: NewCase, at: datetime) -> CaseRow:
    """Open a case."""
    row = CaseRow(
        id=draw_id(at),
        state=new.state,
        received_at=at,
        changed_at=at,
        sender=new.sender,
        sender_name=new.sender_name,
        channel=new.channel,
        review=ReviewState.NONE,
        rank_score=UNSCORED_RANK,
        attempt_count=0,
        owner=new.owner,
        edition=0,
        **{name: getattr(new.facts, name) for name in CaseFacts.__dataclass_fields__},
    )
    repository = CaseRepository(session)
    repository.add(row)
    repository.index_terms(row)
    return row


def add_instances(
    session: Session, case: CaseRow, new: list[NewInstance], at: datetime
) -> list[InstanceRow]:
    """Add files to a case behind those it has; bytes that it has already are not added again."""
    repository = CaseRepository(session)
    present = repository.list_instances(case.id)
    known = {row.sha256 for row in present}
    rows: list[InstanceRow] = []
    for item in new:
        if item.sha256 in known:
            continue
        known.add(item.sha256)
        rows.append(
            InstanceRow(
                id=draw_id(at),
                case_id=case.id,
                position=len(present) + len(rows),
                upload_id=item.upload_id,
                sha256=item.sha256,
                size_bytes=item.size_bytes,
                sop_class_uid=item.sop_class_uid,
                sop_uid=item.sop_uid,
                label=item.label,
            )
        )
    case.changed_at = at
    repository.add(*rows)
    return rows


def grow_case(session: Session, case: CaseRow, files: list[NewInstance], at: datetime) -> None:
    """Give a case all its files, in the order of its slices, and queue it.

    One that was whole before becomes a new edition: its next finding supersedes the last.
    """
    repository = CaseRepository(session)
    is_new = case.state == CaseState.RECEIVING
    labels = {row.sha256: row.label for row in repository.list_instances(case.id)}
    repository.drop_instances(case.id)
    files = [replace(file, label=file.label or labels.get(file.sha256)) for file in files]
    add_instances(session, case, files, at)
    if not is_new:
        case.edition += 1
        case.attempt_count = 0
    if case.state != CaseState.QUEUED:
        move_case(case, CaseState.QUEUED, at)
    session.flush()


def move_case(case: CaseRow, to: CaseState, at: datetime) -> None:
    """Bring a case into another state.

    Raises:
        MoveNotAllowed: there is no way from its present state.
    """
    check_move(CaseState(case.state), to)
    if to is CaseState.QUEUED:
        case.owner = None  # whoever finds it first may score it
    case.state = to
    case.changed_at = at


def keep_finding(
    session: Session, case_id: UUID, new: NewFinding, at: datetime, *, is_shown: bool
) -> FindingRow:
    """Keep what a bundle said of a case, once; a repetition gives the finding kept before.

    What was found in an edition that has grown meanwhile is kept, but not shown: the case still
    waits to be scored.

    Args:
        session: of the transaction that also registered the blobs of the maps.
        case_id: which case.
        new: what was found.
        at: when.
        is_shown: the case shows this finding from now on; a candidate's is kept beside.
    """
    repository = CaseRepository(session)
    case = repository.lock_case(case_id)
    edition = case.edition if new.edition is None else new.edition
    is_shown = is_shown and edition == case.edition
    row = repository.find_finding(case_id, new.bundle_digest, edition)
    if row is None:
        values = {name: getattr(new, name) for name in NewFinding.__dataclass_fields__}
        del values["slice_count"]
        shown_id = _find_shown_id(session, case) if is_shown else None
        values |= {"edition": edition, "supersedes_id": shown_id}
        row = FindingRow(id=draw_id(at), case_id=case_id, made_at=at, **values)
        repository.add(row)
        _record_finding(session, row, at, is_shown=is_shown)
    if is_shown:
        _show(case, row, at)
        case.slice_count = new.slice_count or case.slice_count
    session.flush()
    return row


def show_finding(session: Session, case: CaseRow, finding: FindingRow, at: datetime) -> None:
    """Let a case show a finding that was kept beside; one of an earlier edition is passed over."""
    if case.bundle_digest == finding.bundle_digest or finding.edition != case.edition:
        return
    finding.supersedes_id = _find_shown_id(session, case)
    _show(case, finding, at)
    session.flush()
    _record_finding(session, finding, at, is_shown=True)


def quarantine_case(session: Session, case_id: UUID, code: str, at: datetime) -> CaseRow:
    """Set a case aside that cannot be scored; `code` is an error's code word."""
    case = CaseRepository(session).lock_case(case_id)
    if case.state != CaseState.QUARANTINED:
        move_case(case, CaseState.QUARANTINED, at)
        case.failure_code = code[:64]
        session.flush()
        subject = f"case:{case_id}"
        record_event(session, Event(ENGINE, Action.CASE_QUARANTINED, subject, {"code": code}), at)
    return case


def delete_case(session: Session, case_id: UUID, by: str, at: datetime) -> None:
    """Delete a case with all that belongs to it; its blobs fall to the collector."""
    repository = CaseRepository(session)
    repository.lock_case(case_id)
    repository.delete_case(case_id)
    record_event(session, Event(by, Action.CASE_DELETED, f"case:{case_id}", {}), at)


def _find_shown_id(session: Session, case: CaseRow) -> UUID | None:
    if case.bundle_digest is None:
        return None
    shown = CaseRepository(session).find_finding(case.id, case.bundle_digest)
    return None if shown is None else shown.id


def _record_finding(session: Session, row: FindingRow, at: datetime, *, is_shown: bool) -> None:
    detail: Detail = {"bundle": row.bundle_digest, "verdict": row.verdict, "shown": is_shown}
    record_event(session, Event(ENGINE, Action.CASE_SCORED, f"case:{row.case_id}", detail), at)


def _show(case: CaseRow, finding: FindingRow, at: datetime) -> None:
    if case.state != CaseState.SCORED:
        move_case(case, CaseState.SCORED, at)
    if case.verdict != finding.verdict:
        # What people said was about another verdict: the case is to be looked at again.
        case.review, case.reviewed_at = ReviewState.NONE, None
    case.verdict = finding.verdict
    case.score = finding.score
    case.rank_score = rank_finding(finding.verdict, finding.score)
    case.p_value = finding.p_value
    case.bundle_digest = finding.bundle_digest
    case.scored_at = finding.made_at
    case.failure_code = None
    case.changed_at = at
