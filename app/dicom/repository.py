"""Queries of the index of DICOM objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, defer

from app.dicom.tables import DicomInstanceRow, DicomSeriesRow, DicomStudyRow

_SLACK = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, order=True)
class SeriesName:
    """What tells a series from all others."""

    study_uid: str
    series_uid: str


@dataclass(frozen=True, slots=True)
class SeriesPlace:
    """A series that is kept, and the case that was opened for it."""

    id: UUID
    case_id: UUID | None


# Built once: every object runs them, and building costs more than running.
_ADD_INSTANCE = insert(DicomInstanceRow)
_FIND_DIGESTS = select(DicomInstanceRow.sop_uid, DicomInstanceRow.sha256).where(
    DicomInstanceRow.sop_uid.in_(bindparam("sop_uids", expanding=True))
)
_FIND_PLACE = select(DicomSeriesRow.id, DicomSeriesRow.case_id).where(
    DicomSeriesRow.study_uid == bindparam("study_uid"),
    DicomSeriesRow.series_uid == bindparam("series_uid"),
)
_AWAIT_MORE = (
    update(DicomSeriesRow)
    .where(
        DicomSeriesRow.id == bindparam("series_id"),
        DicomSeriesRow.settle_at.is_(None) | (DicomSeriesRow.settle_at < bindparam("nearly")),
    )
    .values(settle_at=bindparam("new"))
)


class DicomRepository:
    """Studies, series and instances inside one transaction."""

    def __init__(self, session: Session) -> None:
        self.session = session

    # what comes in

    def keep_series(self, study: DicomStudyRow, series: DicomSeriesRow) -> SeriesPlace:
        """Insert a series and its study unless they are known, and give the one that is kept.

        Their attributes are those of their first instance.
        """
        self._insert_once(study)
        self._insert_once(series)
        found = self.find_place(SeriesName(series.study_uid, series.series_uid))
        return found or SeriesPlace(series.id, None)

    def add_instances(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert instances, as the values of their columns."""
        self.session.connection().execute(_ADD_INSTANCE, rows)

    def find_digests(self, sop_uids: Sequence[str]) -> dict[str, str]:
        """Find the bytes of instances by their UIDs."""
        found = self.session.connection().execute(_FIND_DIGESTS, {"sop_uids": sop_uids})
        return {row.sop_uid: row.sha256 for row in found}

    def find_place(self, name: SeriesName) -> SeriesPlace | None:
        """Find a series, and the case that was opened for it."""
        values = {"study_uid": name.study_uid, "series_uid": name.series_uid}
        found = self.session.connection().execute(_FIND_PLACE, values).one_or_none()
        return None if found is None else SeriesPlace(*found)

    def find_instance(self, sop_uid: str) -> DicomInstanceRow | None:
        """Find an instance by its UID."""
        query = select(DicomInstanceRow).where(DicomInstanceRow.sop_uid == sop_uid)
        return self.session.scalar(query)

    def find_series(self, name: SeriesName) -> DicomSeriesRow | None:
        """Find a series of a study."""
        query = select(DicomSeriesRow).where(
            DicomSeriesRow.study_uid == name.study_uid,
            DicomSeriesRow.series_uid == name.series_uid,
        )
        return self.session.scalar(query)

    def lock_caseless(self, series_id: UUID) -> DicomSeriesRow | None:
        """Lock a series that has no case, so that one is opened for it once."""
        query = select(DicomSeriesRow).where(DicomSeriesRow.id == series_id).with_for_update()
        row = self.session.scalar(query, execution_options={"populate_existing": True})
        return None if row is None or row.case_id is not None else row

    # how series become cases

    def await_more(self, series_id: UUID, settle_at: datetime, quiet: timedelta) -> None:
        """Let a series wait for more instances until then, or until nearly then.

        A series that waits nearly as long already is left as it is: hundreds of slices that come
        together do not queue for its row.
        """
        values = {
            "series_id": series_id,
            "new": settle_at,
            "nearly": settle_at - min(_SLACK, quiet / 4),
        }
        self.session.connection().execute(_AWAIT_MORE, values)

    def complete_study(self, study_uid: str, at: datetime) -> int:
        """Let the series of a study wait no longer, and count those that did."""
        statement = update(DicomSeriesRow).where(
            DicomSeriesRow.study_uid == study_uid, DicomSeriesRow.settle_at.is_not(None)
        )
        done = self.session.execute(statement.values(settle_at=at).returning(DicomSeriesRow.id))
        return len(done.all())

    def has_due_series(self, at: datetime) -> bool:
        """Tell whether a series waited long enough."""
        query = select(DicomSeriesRow.id).where(DicomSeriesRow.settle_at <= at).limit(1)
        return self.session.scalar(query) is not None

    def take_due_series(self, at: datetime, limit: int) -> Sequence[DicomSeriesRow]:
        """Lock series that waited long enough; those that another process holds are left out."""
        query = (
            select(DicomSeriesRow)
            .where(DicomSeriesRow.settle_at <= at)
            .order_by(DicomSeriesRow.settle_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return self.session.scalars(query).all()

    def list_scans(self, series_id: UUID) -> Sequence[DicomInstanceRow]:
        """List the instances of a series that are to be scored, in the order they came."""
        query = select(DicomInstanceRow).where(
            DicomInstanceRow.series_id == series_id, DicomInstanceRow.is_scan
        )
        query = query.order_by(DicomInstanceRow.id).options(defer(DicomInstanceRow.attributes))
        return self.session.scalars(query).all()

    def give_to_case(self, instance_ids: Sequence[UUID], case_id: UUID) -> None:
        """Let instances belong to a case."""
        statement = update(DicomInstanceRow).where(DicomInstanceRow.id.in_(instance_ids))
        self.session.execute(statement.values(case_id=case_id))

    def forget_empty(self) -> None:
        """Delete series and studies whose last instance was deleted with its case."""
        holds = exists().where(DicomInstanceRow.series_id == DicomSeriesRow.id)
        self.session.execute(delete(DicomSeriesRow).where(~holds))
        is_study = exists().where(DicomSeriesRow.study_uid == DicomStudyRow.study_uid)
        self.session.execute(delete(DicomStudyRow).where(~is_study))

    # what is asked for

    def find_study(self, study_uid: str) -> DicomStudyRow | None:
        """Find a study."""
        return self.session.get(DicomStudyRow, study_uid)

    def list_study_series(self, study_uid: str) -> Sequence[DicomSeriesRow]:
        """List the series of a study in the order of their numbers."""
        query = select(DicomSeriesRow).where(DicomSeriesRow.study_uid == study_uid)
        order = (func.coalesce(DicomSeriesRow.number, 0), DicomSeriesRow.id)
        return self.session.scalars(query.order_by(*order)).all()

    def list_series_instances(self, series_id: UUID) -> Sequence[DicomInstanceRow]:
        """List the instances of a series in the order of their numbers."""
        query = select(DicomInstanceRow).where(DicomInstanceRow.series_id == series_id)
        order = (func.coalesce(DicomInstanceRow.number, 0), DicomInstanceRow.id)
        return self.session.scalars(query.order_by(*order)).all()

    def list_case_instances(self, case_id: UUID) -> Sequence[DicomInstanceRow]:
        """List the scans that a case is made of, without its results, in the order of numbers."""
        query = select(DicomInstanceRow).where(
            DicomInstanceRow.case_id == case_id, DicomInstanceRow.is_scan
        )
        order = (func.coalesce(DicomInstanceRow.number, 0), DicomInstanceRow.id)
        return self.session.scalars(query.order_by(*order)).all()

    def _insert_once(self, row: DicomStudyRow | DicomSeriesRow) -> None:
        kind = type(row)
        values = {name: getattr(row, name) for name in kind.__table__.columns.keys()}  # noqa: SIM118 - a collection of columns, no dict
        if self.session.get_bind().dialect.name == "sqlite":
            self.session.execute(sqlite.insert(kind).values(values).on_conflict_do_nothing())
        else:
            self.session.execute(postgresql.insert(kind).values(values).on_conflict_do_nothing())
