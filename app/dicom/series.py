"""Series that are complete become cases: one for each stack of slices, and for each lone image.

The rule that tells stacks apart is the one of folders and archives (models/decoding). Instances
that come later join the case of their stack, which is then scored again.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from app.audit.service import Action, Detail, Event, record_event
from app.auth.permissions import Principal
from app.cases.orders import CaseFacts, NewCase, NewInstance, NewUpload
from app.cases.repository import CaseRepository
from app.cases.service import grow_case, keep_upload, open_case
from app.cases.states import CaseState, Channel
from app.cases.tables import CaseRow
from app.dicom.repository import DicomRepository
from app.dicom.tables import DicomInstanceRow, DicomSeriesRow
from app.errors import CaseNotFound
from models.decoding.slice_header import SliceHeader, group_slices

AT_ONCE = 8


def settle_due_series(session: Session, at: datetime) -> int:
    """Queue the cases of some series that waited long enough, and count those series."""
    repository = DicomRepository(session)
    due = repository.take_due_series(at, AT_ONCE)
    grown = [case for series in due for case in _settle_series(session, series, at)]
    for series in due:
        series.settle_at = None
    session.flush()
    for case, file_count in grown:
        detail: Detail = {"channel": case.channel, "files": file_count, "edition": case.edition}
        event = Event(case.sender, Action.SCAN_ACCEPTED, f"case:{case.id}", detail)
        record_event(session, event, at)
    return len(due)


def _settle_series(
    session: Session, series: DicomSeriesRow, at: datetime
) -> list[tuple[CaseRow, int]]:
    """Give every scan of a series its case, and those cases that have grown."""
    repository = DicomRepository(session)
    scans = repository.list_scans(series.id)
    first = _find_case(session, series.case_id)
    stacks = [[scans[index] for index in stack] for stack in group_slices(_read_headers(scans))]
    # The case that was opened when the first scan came is that of the first stack.
    taken = {scan.case_id for scan in scans}
    spare = first if first is not None and first.id not in taken else None
    grown = []
    for stack in stacks:
        if all(scan.case_id is not None for scan in stack):
            continue
        case = _find_case(session, _find_owner(stack)) or spare or _open(session, series, first, at)
        spare = None if case is spare else spare
        members = _sort_stack([*stack, *_list_others(repository, case, stack)])
        repository.give_to_case([scan.id for scan in stack if scan.case_id is None], case.id)
        files = [_describe_file(session, scan, series, at) for scan in members]
        grow_case(session, case, files, at)
        grown.append((case, len(members)))
    if spare is not None and spare.state == CaseState.RECEIVING and grown:
        # All scans went to cases of uploads: the one that was opened for them is nobody's.
        series.case_id = grown[0][0].id
        session.flush()
        CaseRepository(session).delete_case(spare.id)
    return grown


def _find_case(session: Session, case_id: UUID | None) -> CaseRow | None:
    if case_id is None:
        return None
    try:
        return CaseRepository(session).lock_case(case_id)
    except CaseNotFound:
        return None


def _find_owner(stack: Sequence[DicomInstanceRow]) -> UUID | None:
    """Give the case that most slices of a stack belong to already."""
    owners = [scan.case_id for scan in stack if scan.case_id is not None]
    return max(owners, key=owners.count, default=None)


def _open(session: Session, series: DicomSeriesRow, first: CaseRow | None, at: datetime) -> CaseRow:
    """Open a case for a further stack of a series."""
    facts = CaseFacts(series_uid=series.series_uid, study_uid=series.study_uid)
    if first is not None:
        facts = CaseFacts(**{name: getattr(first, name) for name in CaseFacts.__dataclass_fields__})
    sender = Principal(series.sender, series.sender_name, frozenset())
    new = NewCase(sender.id, sender.name, Channel(series.channel), facts, CaseState.RECEIVING)
    return open_case(session, new, at)


def _list_others(
    repository: DicomRepository, case: CaseRow, stack: Sequence[DicomInstanceRow]
) -> list[DicomInstanceRow]:
    """List what a case holds beside this stack: slices that an earlier rule put there."""
    present = {scan.id for scan in stack}
    return [scan for scan in repository.list_case_instances(case.id) if scan.id not in present]


def _sort_stack(stack: list[DicomInstanceRow]) -> list[DicomInstanceRow]:
    def find_place(scan: DicomInstanceRow) -> tuple[float, int]:
        header = _read_header(scan)
        return (header.position_mm or 0.0, header.instance)

    return sorted(stack, key=find_place)


def _read_headers(scans: Sequence[DicomInstanceRow]) -> list[SliceHeader]:
    return [_read_header(scan) for scan in scans]


def _read_header(scan: DicomInstanceRow) -> SliceHeader:
    # JSON knows no tuples; headers are compared and hashed.
    kept = scan.slice_header or {}
    return SliceHeader(
        series=kept.get("series", ""),
        stack=tuple(kept.get("stack", ())),
        size=tuple(kept.get("size", (0, 0))),
        direction=None if kept.get("direction") is None else tuple(kept["direction"]),
        position_mm=kept.get("position_mm"),
        instance=kept.get("instance", 0),
    )


def _describe_file(
    session: Session, scan: DicomInstanceRow, series: DicomSeriesRow, at: datetime
) -> NewInstance:
    if scan.upload_id is None:  # deleted with another case that these bytes were handed in for
        new = NewUpload(series.sender, scan.sha256, scan.size_bytes)
        scan.upload_id = keep_upload(session, new, at)[0].id
    return NewInstance(
        upload_id=scan.upload_id,
        sha256=scan.sha256,
        size_bytes=scan.size_bytes,
        sop_class_uid=scan.sop_class_uid,
        sop_uid=scan.sop_uid,
    )
