"""Queries of cases."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, func, insert, or_, select
from sqlalchemy.orm import Session

from app.cases.orders import NewUpload
from app.cases.states import CaseState, Channel
from app.cases.tables import (
    CaseRow,
    CaseTermRow,
    FindingRow,
    InstanceRow,
    ReviewRow,
    UploadRow,
)
from app.cases.terms import find_terms
from app.cases.worklist import (
    BROAD_COUNT,
    MAX_PAGE,
    CaseFilter,
    CasePage,
    Page,
    begins_with,
    cut_page,
    list_conditions,
    select_page,
)
from app.errors import CaseNotFound, FindingNotFound, ReviewNotFound

AnyRow = UploadRow | CaseRow | InstanceRow | FindingRow | ReviewRow

# Built once: every DICOM object runs them.
_FIND_UPLOADS = select(UploadRow.sender, UploadRow.sha256, UploadRow.id).where(
    UploadRow.sha256.in_(bindparam("digests", expanding=True))
)
_INSERT_UPLOAD = insert(UploadRow)


class CaseRepository:
    """Cases and what belongs to them, inside one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, *rows: AnyRow) -> None:
        """Insert rows."""
        self.session.add_all(rows)
        self.session.flush()

    # uploads

    def find_upload(self, sender: str, sha256: str) -> UploadRow | None:
        """Find what a sender handed in before, by its bytes."""
        query = select(UploadRow).where(UploadRow.sender == sender, UploadRow.sha256 == sha256)
        return self.session.scalar(query)

    def find_sent(self, sender: str, sha256: str) -> UploadRow | None:
        """Find what a sender handed in before, by the digest of what came."""
        query = select(UploadRow).where(UploadRow.sender == sender, UploadRow.sent_sha256 == sha256)
        return self.find_upload(sender, sha256) or self.session.scalar(query)

    def find_upload_ids(self, digests: Sequence[str]) -> dict[tuple[str, str], UUID]:
        """Find the ids of what was handed in before, by sender and digest."""
        found = self.session.connection().execute(_FIND_UPLOADS, {"digests": digests})
        return {(sender, sha256): upload_id for sender, sha256, upload_id in found}

    def insert_uploads(self, uploads: Mapping[UUID, NewUpload], at: datetime) -> None:
        """Insert uploads that came without a key, under these ids."""
        values = [
            {
                "id": upload_id,
                "sender": new.sender,
                "sha256": new.sha256,
                "size_bytes": new.size_bytes,
                "received_at": at,
            }
            for upload_id, new in uploads.items()
        ]
        if values:
            self.session.connection().execute(_INSERT_UPLOAD, values)

    def find_upload_by_key(self, sender: str, idempotency_key: str) -> UploadRow | None:
        """Find what a sender handed in before, by the key sent along."""
        query = select(UploadRow).where(
            UploadRow.sender == sender, UploadRow.idempotency_key == idempotency_key
        )
        return self.session.scalar(query)

    def list_upload_cases(self, upload_id: UUID) -> Sequence[CaseRow]:
        """List the cases that an upload belongs to, oldest first."""
        cases = select(InstanceRow.case_id).where(InstanceRow.upload_id == upload_id)
        query = select(CaseRow).where(CaseRow.id.in_(cases)).order_by(CaseRow.id)
        return self.session.scalars(query).all()

    def list_upload_places(self, upload_id: UUID) -> frozenset[tuple[UUID, int]]:
        """List the files of an upload, each by its case and its position there."""
        query = select(InstanceRow.case_id, InstanceRow.position)
        rows = self.session.execute(query.where(InstanceRow.upload_id == upload_id))
        return frozenset((case_id, position) for case_id, position in rows)

    # cases

    def get_case(self, case_id: UUID) -> CaseRow:
        """Give a case.

        Raises:
            CaseNotFound: there is none.
        """
        row = self.session.get(CaseRow, case_id)
        if row is None:
            raise CaseNotFound
        return row

    def lock_case(self, case_id: UUID) -> CaseRow:
        """Give a case that nobody else changes until the commit."""
        query = select(CaseRow).where(CaseRow.id == case_id).with_for_update()
        row = self.session.scalar(query, execution_options={"populate_existing": True})
        if row is None:
            raise CaseNotFound
        return row

    def lock_cases(self, case_ids: Sequence[UUID]) -> dict[UUID, CaseRow]:
        """Give those cases that are still there, locked one after the other in the order of ids.

        Lock all cases of a transaction before its first audit entry: whoever appends to the trail
        lets others wait until the commit, and must not wait for a case that one of them holds.
        """
        query = select(CaseRow).where(CaseRow.id.in_(case_ids)).order_by(CaseRow.id)
        rows = self.session.scalars(
            query.with_for_update(), execution_options={"populate_existing": True}
        )
        return {row.id: row for row in rows}

    def list_unseen(
        self, bundle_digest: str, since: datetime, before: datetime, limit: int
    ) -> Sequence[tuple[UUID, int]]:
        """List cases that came and were scored in a time, of which a bundle said nothing.

        Each with its edition, the oldest first.
        """
        is_seen = exists().where(
            FindingRow.case_id == CaseRow.id,
            FindingRow.bundle_digest == bundle_digest,
            FindingRow.edition == CaseRow.edition,
        )
        query = select(CaseRow.id, CaseRow.edition).where(
            CaseRow.state == CaseState.SCORED,
            CaseRow.received_at >= since,
            CaseRow.scored_at < before,
            ~is_seen,
        )
        rows = self.session.execute(query.order_by(CaseRow.received_at).limit(limit))
        return [(case_id, edition) for case_id, edition in rows]

    def list_expired(self, before: datetime, limit: int, *, is_flagged: bool) -> Sequence[UUID]:
        """List settled cases that came before an instant and were not reviewed since."""
        query = select(CaseRow.id).where(*_list_expiry(before, is_flagged=is_flagged))
        return self.session.scalars(query.order_by(CaseRow.received_at).limit(limit)).all()

    def is_expired(self, case_id: UUID, before: datetime, *, is_flagged: bool) -> bool:
        """Tell whether a case is one of them."""
        conditions = _list_expiry(before, is_flagged=is_flagged)
        query = select(CaseRow.id).where(CaseRow.id == case_id, *conditions)
        return self.session.scalar(query) is not None

    def list_free(
        self, owner: str, others: Collection[str], changed_before: datetime, limit: int
    ) -> Sequence[UUID]:
        """List cases that wait to be scored and are on no line of `others`, the oldest first.

        One that an upload is just handing over to `owner` itself is left out until
        `changed_before`.
        """
        is_left = or_(
            CaseRow.owner.is_(None),
            and_(CaseRow.owner != owner, CaseRow.owner.not_in(others)),
            and_(
                CaseRow.owner == owner,
                or_(CaseRow.channel != Channel.REST, CaseRow.changed_at < changed_before),
            ),
        )
        query = select(CaseRow.id).where(CaseRow.state == CaseState.QUEUED, is_left)
        return self.session.scalars(query.order_by(CaseRow.received_at).limit(limit)).all()

    def lock_queued(self, case_ids: Sequence[UUID]) -> dict[UUID, CaseRow]:
        """Give those of some cases that still wait, locked; one that another holds is left out."""
        query = select(CaseRow).where(CaseRow.id.in_(case_ids), CaseRow.state == CaseState.QUEUED)
        rows = self.session.scalars(
            query.order_by(CaseRow.id).with_for_update(skip_locked=True),
            execution_options={"populate_existing": True},
        )
        return {row.id: row for row in rows}

    def index_terms(self, case: CaseRow) -> None:
        """Keep the words by which a new case is found."""
        terms = find_terms(case.patient_name, case.patient_id, case.accession, case.description)
        if terms:
            rows = [{"term": term, "case_id": case.id} for term in terms]
            self.session.execute(insert(CaseTermRow), rows)

    def delete_case(self, case_id: UUID) -> None:
        """Delete a case and all that belongs to it, and uploads that belong to no case any more."""
        uploads = select(InstanceRow.upload_id).where(InstanceRow.case_id == case_id)
        upload_ids = self.session.scalars(uploads.distinct()).all()
        self.session.execute(delete(CaseRow).where(CaseRow.id == case_id))
        is_used = exists().where(InstanceRow.upload_id == UploadRow.id)
        self.session.execute(delete(UploadRow).where(UploadRow.id.in_(upload_ids), ~is_used))
        self.session.expire_all()

    # the worklist

    def list_page(self, page: Page) -> CasePage:
        """Give a page of the worklist.

        Raises:
            InvalidCursor: the cursor is not one of this list.
        """
        page = replace(page, limit=max(1, min(page.limit, MAX_PAGE)))
        query = select_page(page, self._find_broad(page.filter))
        return cut_page(page, self.session.scalars(query).all())

    def count_cases(self, wanted: CaseFilter) -> int:
        """Count the cases that pass a filter."""
        query = select(func.count()).select_from(CaseRow).where(*list_conditions(wanted))
        return self.session.scalar(query) or 0

    def find_cases(self, case_ids: Sequence[UUID]) -> dict[UUID, CaseRow]:
        """Find those of several cases that are there."""
        rows = self.session.scalars(select(CaseRow).where(CaseRow.id.in_(case_ids)))
        return {row.id: row for row in rows}

    def find_last_id(self) -> UUID | None:
        """Find the highest id of a case."""
        return self.session.scalar(select(CaseRow.id).order_by(CaseRow.id.desc()).limit(1))

    def list_case_ids(self, wanted: CaseFilter, after: UUID | None, limit: int) -> Sequence[UUID]:
        """List ids of cases that pass a filter, in the order of ids, for jobs that go in chunks."""
        query = select(CaseRow.id).where(*list_conditions(wanted)).order_by(CaseRow.id)
        if after is not None:
            query = query.where(CaseRow.id > after)
        return self.session.scalars(query.limit(limit)).all()

    def _find_broad(self, wanted: CaseFilter) -> frozenset[str]:
        return frozenset(term for term in find_terms(wanted.text) if self._is_broad(term))

    def _is_broad(self, term: str) -> bool:
        far = select(CaseTermRow.case_id).where(*begins_with(term)).offset(BROAD_COUNT).limit(1)
        return self.session.scalar(far) is not None

    def list_of_patient(self, case: CaseRow, limit: int) -> Sequence[CaseRow]:
        """List other cases of the same patient of the same site, newest first."""
        if case.patient_id is None:
            return []
        query = select(CaseRow).where(
            CaseRow.patient_id == case.patient_id,
            CaseRow.site.is_not_distinct_from(case.site),
            CaseRow.id != case.id,
        )
        return self.session.scalars(query.order_by(CaseRow.received_at.desc()).limit(limit)).all()

    # what belongs to a case

    def list_instances(self, case_id: UUID) -> Sequence[InstanceRow]:
        """List the files of a case in the order of its slices."""
        query = select(InstanceRow).where(InstanceRow.case_id == case_id)
        return self.session.scalars(query.order_by(InstanceRow.position)).all()

    def find_finding(
        self, case_id: UUID, bundle_digest: str, edition: int | None = None
    ) -> FindingRow | None:
        """Find what a bundle said of an edition of a case; of the last it looked at by default."""
        query = select(FindingRow).where(
            FindingRow.case_id == case_id, FindingRow.bundle_digest == bundle_digest
        )
        if edition is not None:
            query = query.where(FindingRow.edition == edition)
        return self.session.scalar(query.order_by(FindingRow.edition.desc()).limit(1))

    def find_findings(self, case_ids: Sequence[UUID], bundle_digest: str) -> dict[UUID, FindingRow]:
        """Find what a bundle said of several cases, of each the last edition it looked at."""
        query = select(FindingRow).where(
            FindingRow.case_id.in_(case_ids), FindingRow.bundle_digest == bundle_digest
        )
        rows = self.session.scalars(query.order_by(FindingRow.edition))
        return {row.case_id: row for row in rows}

    def get_shown_finding(self, case: CaseRow) -> FindingRow:
        """Give the finding whose numbers the case shows.

        Raises:
            FindingNotFound: the case has none yet.
        """
        digest = case.bundle_digest
        row = None if digest is None else self.find_finding(case.id, digest)
        if row is None:
            raise FindingNotFound
        return row

    def list_findings(self, case_id: UUID) -> Sequence[FindingRow]:
        """List what all bundles said of a case, oldest first."""
        query = select(FindingRow).where(FindingRow.case_id == case_id)
        return self.session.scalars(query.order_by(FindingRow.made_at, FindingRow.id)).all()

    def drop_instances(self, case_id: UUID) -> None:
        """Take all files off a case; they are put back in another order."""
        self.session.execute(delete(InstanceRow).where(InstanceRow.case_id == case_id))

    def get_review(self, case_id: UUID, review_id: UUID) -> ReviewRow:
        """Give a review of a case.

        Raises:
            ReviewNotFound: the case has none with this id.
        """
        row = self.session.get(ReviewRow, review_id)
        if row is None or row.case_id != case_id:
            raise ReviewNotFound
        return row

    def list_reviews(self, case_id: UUID) -> Sequence[ReviewRow]:
        """List all reviews of a case, oldest first, undone ones too."""
        query = select(ReviewRow).where(ReviewRow.case_id == case_id)
        return self.session.scalars(query.order_by(ReviewRow.made_at, ReviewRow.id)).all()


def _list_expiry(before: datetime, *, is_flagged: bool) -> list[ColumnElement[bool]]:
    flagged = or_(
        func.coalesce(CaseRow.verdict, "") == "anomalous", CaseRow.reviewed_at.is_not(None)
    )
    return [
        CaseRow.state.in_((CaseState.SCORED, CaseState.QUARANTINED)),
        CaseRow.received_at < before,
        or_(CaseRow.reviewed_at.is_(None), CaseRow.reviewed_at < before),
        flagged if is_flagged else ~flagged,
    ]
