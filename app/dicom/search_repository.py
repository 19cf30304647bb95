"""Queries of QIDO-RS over the index; no file is opened."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.dicom.queries import Level, Search
from app.dicom.tables import DicomInstanceRow, DicomSeriesRow, DicomStudyRow

_COLUMNS: dict[str, InstrumentedAttribute[Any]] = {
    "StudyInstanceUID": DicomStudyRow.study_uid,
    "PatientID": DicomStudyRow.patient_id,
    "PatientName": DicomStudyRow.patient_name,
    "AccessionNumber": DicomStudyRow.accession,
    "StudyDescription": DicomStudyRow.description,
    "StudyDate": DicomStudyRow.study_date,
    "StudyTime": DicomStudyRow.study_time,
    "SeriesInstanceUID": DicomSeriesRow.series_uid,
    "Modality": DicomSeriesRow.modality,
    "SeriesNumber": DicomSeriesRow.number,
    "BodyPartExamined": DicomSeriesRow.body_part,
    "SOPInstanceUID": DicomInstanceRow.sop_uid,
    "SOPClassUID": DicomInstanceRow.sop_class_uid,
    "InstanceNumber": DicomInstanceRow.number,
}
_RANGES = {"StudyDate", "StudyTime"}
_NUMBERS = {"SeriesNumber", "InstanceNumber"}
_LAST = "\U0010ffff"

FoundRow = tuple[DicomStudyRow, DicomSeriesRow | None, DicomInstanceRow | None]


class SearchRepository:
    """Searches inside one reading session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def search(self, search: Search) -> list[FoundRow]:
        """Give one row more than the limit where there is one, the newest study first."""
        if search.level is Level.STUDY:
            order = (DicomStudyRow.received_at.desc(), DicomStudyRow.study_uid)
            query = _filter(select(DicomStudyRow), search).order_by(*order)
            return [(row, None, None) for row in self.session.scalars(_cut(query, search))]
        if search.level is Level.SERIES:
            pairs: Select[*tuple[Any, ...]] = select(DicomStudyRow, DicomSeriesRow)
            ordered = _cut(_filter(pairs, search).order_by(*_order_series()), search)
            return [(row[0], row[1], None) for row in self.session.execute(ordered)]
        triples: Select[*tuple[Any, ...]] = select(DicomStudyRow, DicomSeriesRow, DicomInstanceRow)
        ordering = (*_order_series(), func.coalesce(DicomInstanceRow.number, 0))
        limited = _cut(_filter(triples, search).order_by(*ordering, DicomInstanceRow.id), search)
        return [(row[0], row[1], row[2]) for row in self.session.execute(limited)]

    def summarize_studies(self, study_uids: Sequence[str]) -> dict[str, tuple[list[str], int, int]]:
        """Give for each study its modalities, and how many series and instances it has."""
        query = (
            select(
                DicomSeriesRow.study_uid,
                DicomSeriesRow.modality,
                func.count(DicomSeriesRow.id.distinct()),
                func.count(DicomInstanceRow.id),
            )
            .join(DicomInstanceRow, DicomInstanceRow.series_id == DicomSeriesRow.id)
            .where(DicomSeriesRow.study_uid.in_(study_uids))
            .group_by(DicomSeriesRow.study_uid, DicomSeriesRow.modality)
        )
        found: dict[str, tuple[list[str], int, int]] = {}
        for uid, modality, series, instances in self.session.execute(query):
            modalities, series_before, before = found.get(uid, ([], 0, 0))
            modalities = sorted([*modalities, *([modality] if modality else [])])
            found[uid] = (modalities, series_before + series, before + instances)
        return found

    def count_instances(self, series_ids: Sequence[Any]) -> dict[Any, int]:
        """Give how many instances each series has."""
        query = (
            select(DicomInstanceRow.series_id, func.count())
            .where(DicomInstanceRow.series_id.in_(series_ids))
            .group_by(DicomInstanceRow.series_id)
        )
        return {row[0]: row[1] for row in self.session.execute(query)}

    def list_objects(
        self, study_uid: str, series_uid: str | None, sop_uid: str | None
    ) -> Sequence[DicomInstanceRow]:
        """List the instances of a study, of a series of it, or the one of that name."""
        query = select(DicomInstanceRow).where(DicomInstanceRow.study_uid == study_uid)
        if series_uid is not None:
            query = query.where(DicomInstanceRow.series_uid == series_uid)
        if sop_uid is not None:
            query = query.where(DicomInstanceRow.sop_uid == sop_uid)
        order = (
            DicomInstanceRow.series_uid,
            func.coalesce(DicomInstanceRow.number, 0),
            DicomInstanceRow.id,
        )
        return self.session.scalars(query.order_by(*order)).all()


def _filter(query: Select[*tuple[Any, ...]], search: Search) -> Select[*tuple[Any, ...]]:
    if search.level >= Level.SERIES:
        query = query.join(DicomSeriesRow, DicomSeriesRow.study_uid == DicomStudyRow.study_uid)
    if search.level is Level.INSTANCE:
        query = query.join(DicomInstanceRow, DicomInstanceRow.series_id == DicomSeriesRow.id)
    for keyword, values in search.matches.items():
        query = query.where(_match(keyword, values, is_fuzzy=search.is_fuzzy))
    return query


def _match(keyword: str, values: tuple[str, ...], *, is_fuzzy: bool) -> ColumnElement[bool]:
    if keyword == "ModalitiesInStudy":
        has = select(DicomSeriesRow.id).where(
            DicomSeriesRow.study_uid == DicomStudyRow.study_uid,
            DicomSeriesRow.modality.in_(values),
        )
        return has.correlate(DicomStudyRow).exists()
    column = _COLUMNS[keyword]
    if keyword in _NUMBERS:
        return column == int(values[0])
    if keyword in _RANGES:
        return _match_range(column, values[0])
    return or_(*(_match_text(column, value, is_fuzzy=is_fuzzy) for value in values))


def _match_range(column: InstrumentedAttribute[Any], value: str) -> ColumnElement[bool]:
    """Match a moment or a range (PS3.4 C.2.2.2.5); ends and their fractions belong to it."""
    first, dash, last = value.partition("-")
    if not dash:
        return column.startswith(first, autoescape=True)
    return and_(column >= first, column <= (last or "") + _LAST)


def _match_text(
    column: InstrumentedAttribute[Any], value: str, *, is_fuzzy: bool
) -> ColumnElement[bool]:
    """Match text with the wildcards * and ? (PS3.4 C.2.2.2.4); names whatever their case."""
    is_name = column is DicomStudyRow.patient_name
    has_wildcard = "*" in value or "?" in value
    if not (is_name or has_wildcard):
        return column == value
    escaped = value.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    pattern = escaped.replace("*", "%").replace("?", "_")
    if is_name and is_fuzzy and not has_wildcard:
        pattern = f"%{pattern}%"
    return column.ilike(pattern, escape="\\")


def _order_series() -> tuple[ColumnElement[Any], ...]:
    return (
        DicomStudyRow.received_at.desc(),
        DicomStudyRow.study_uid.expression,
        func.coalesce(DicomSeriesRow.number, 0),
        DicomSeriesRow.id.expression,
    )


def _cut(query: Select[*tuple[Any, ...]], search: Search) -> Select[*tuple[Any, ...]]:
    return query.offset(search.offset).limit(search.limit + 1)
