"""Queries of what goes out: findings to be told, objects to be pushed."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from app.dicom.job_states import JobState
from app.dicom.tables import DicomInstanceRow, PushRow, ReportJobRow

_Job = TypeVar("_Job", ReportJobRow, PushRow)


class JobRepository:
    """Reports and pushes inside one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, *rows: ReportJobRow | PushRow) -> None:
        """Insert rows."""
        self.session.add_all(rows)
        self.session.flush()

    def find_report(self, finding_id: UUID) -> ReportJobRow | None:
        """Find what became of telling a finding."""
        return self.session.get(ReportJobRow, finding_id)

    def find_push(self, push_id: UUID) -> PushRow | None:
        """Find one object on its way."""
        return self.session.get(PushRow, push_id)

    def claim_reports(self, now: datetime, until: datetime, limit: int) -> Sequence[ReportJobRow]:
        """Take findings that are due; nobody else sees them as due before `until`."""
        query = select(ReportJobRow).where(ReportJobRow.due_at <= now)
        return self._claim(query.order_by(ReportJobRow.due_at).limit(limit), until)

    def claim_pushes(self, now: datetime, until: datetime, limit: int) -> Sequence[PushRow]:
        """Take objects that are due; nobody else sees them as due before `until`."""
        query = select(PushRow).where(PushRow.due_at <= now)
        return self._claim(query.order_by(PushRow.due_at).limit(limit), until)

    def list_pushes(self, case_id: UUID) -> Sequence[tuple[PushRow, DicomInstanceRow]]:
        """List where the objects of a case were sent, in the order they were made."""
        query = (
            select(PushRow, DicomInstanceRow)
            .join(DicomInstanceRow, DicomInstanceRow.id == PushRow.instance_id)
            .where(PushRow.case_id == case_id)
            .order_by(PushRow.made_at, PushRow.id)
        )
        return [(row[0], row[1]) for row in self.session.execute(query)]

    def list_reports(self, case_id: UUID) -> Sequence[ReportJobRow]:
        """List the findings of a case that are told, or are to be."""
        query = select(ReportJobRow).where(ReportJobRow.case_id == case_id)
        return self.session.scalars(query.order_by(ReportJobRow.finding_id)).all()

    def list_unsent(
        self, sop_uids: Sequence[str], targets: Sequence[str]
    ) -> list[tuple[DicomInstanceRow, str]]:
        """List which objects are not on their way to which target yet."""
        rows = self.get_instances(sop_uids)
        query = select(PushRow.instance_id, PushRow.target).where(
            PushRow.instance_id.in_([row.id for row in rows])
        )
        known = {(row[0], row[1]) for row in self.session.execute(query)}
        pairs = [(row, target) for row in rows for target in targets]
        return [(row, target) for row, target in pairs if (row.id, target) not in known]

    def get_instances(self, sop_uids: Sequence[str]) -> Sequence[DicomInstanceRow]:
        """Give objects by their UIDs, in no order."""
        query = select(DicomInstanceRow).where(DicomInstanceRow.sop_uid.in_(sop_uids))
        return self.session.scalars(query).all()

    def give_results_to_case(self, sop_uids: Sequence[str], case_id: UUID) -> None:
        """Let results go when their case goes."""
        statement = update(DicomInstanceRow).where(DicomInstanceRow.sop_uid.in_(sop_uids))
        self.session.execute(statement.values(case_id=case_id))

    def retry_pushes(self, case_id: UUID, at: datetime) -> int:
        """Let the objects of a case that failed be sent again, and count them."""
        statement = update(PushRow).where(
            PushRow.case_id == case_id, PushRow.state == JobState.FAILED
        )
        values = {"state": JobState.WAITING, "due_at": at, "attempt_count": 0, "settled_at": None}
        return len(self.session.execute(statement.values(values).returning(PushRow.id)).all())

    def _claim(self, query: Select[_Job], until: datetime) -> Sequence[_Job]:
        rows = self.session.scalars(query.with_for_update(skip_locked=True)).all()
        for row in rows:
            row.due_at = until
            row.attempt_count += 1
        self.session.flush()
        return rows
