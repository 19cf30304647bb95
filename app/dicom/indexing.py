"""From objects whose bytes are on disk to rows: as many at once as came together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.auth.permissions import Principal
from app.cases.orders import NewCase, NewUpload
from app.cases.service import keep_bare_uploads, open_case
from app.cases.states import CaseState, Channel
from app.dicom.header import ObjectHeader
from app.dicom.repository import DicomRepository, SeriesName, SeriesPlace
from app.dicom.sameness import is_same_object
from app.dicom.sop_classes import SCAN_CLASSES
from app.dicom.tables import DicomSeriesRow, DicomStudyRow
from app.errors import DuplicateObject
from app.intake.facts import merge_facts
from app.intake.schemas import UploadFields
from app.storage.blobs import BlobStore, StoredBlob
from app.storage.identifiers import draw_id
from app.storage.service import register_blobs

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delivery:
    """Who sends, which way, and into which study when only one is allowed.

    `is_ours` says that it is a result of ours, which names nobody that its scan does not name.
    """

    sender: Principal
    channel: Channel
    study_uid: str | None = None
    is_ours: bool = False


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object that may be taken in; all four UIDs are there."""

    header: ObjectHeader
    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_uid: str

    @property
    def is_scan(self) -> bool:
        """It is to be scored."""
        return self.sop_class_uid in SCAN_CLASSES and bool(self.header.rows and self.header.columns)

    @property
    def series(self) -> SeriesName:
        """Where it belongs."""
        return SeriesName(self.study_uid, self.series_uid)


@dataclass(frozen=True, slots=True)
class Arrival:
    """An object whose bytes are on disk."""

    found: FoundObject
    blob: StoredBlob
    delivery: Delivery


class Indexer:
    """Puts objects into the index, and into their series; inside of one transaction."""

    def __init__(self, session: Session, store: BlobStore, at: datetime, quiet: timedelta) -> None:
        self._session = session
        self._store = store
        self._at = at
        self._quiet = quiet
        self._repository = DicomRepository(session)

    def add(self, arrivals: Sequence[Arrival]) -> None:
        """Index objects; one that is known already is left as it is.

        Raises:
            DuplicateObject: another object is known under a UID.
            BlobNotFound: the collector was faster than this transaction.
        """
        new = self._list_new(arrivals)
        if not new:
            return
        register_blobs(self._session, self._store, [each.blob for each in new], self._at)
        uploads = [
            NewUpload(each.delivery.sender.id, each.blob.sha256, each.blob.size_bytes)
            for each in new
        ]
        upload_ids = keep_bare_uploads(self._session, uploads, self._at)
        places = self._find_places(new)
        rows = [
            build_instance(each.found, each.blob, places[each.found.series], upload_id, self._at)
            for each, upload_id in zip(new, upload_ids, strict=True)
        ]
        self._repository.add_instances(rows)
        self._await_more(places[each.found.series].id for each in new if each.found.is_scan)

    def _list_new(self, arrivals: Sequence[Arrival]) -> list[Arrival]:
        known = self._repository.find_digests([each.found.sop_uid for each in arrivals])
        new = []
        # In one order, for all who lock their blobs.
        for each in sorted(arrivals, key=lambda each: each.blob.sha256):
            earlier = known.get(each.found.sop_uid)
            if earlier is None:
                known[each.found.sop_uid] = each.blob.sha256
                new.append(each)
            elif not is_same_object(self._store, earlier, each.blob.sha256):
                raise DuplicateObject
        return new

    def _find_places(self, arrivals: Sequence[Arrival]) -> dict[SeriesName, SeriesPlace]:
        places: dict[SeriesName, SeriesPlace] = {}
        for each in sorted(arrivals, key=lambda each: each.found.series):
            name = each.found.series
            place = places.get(name) or self._repository.find_place(name)
            place = place or self._repository.keep_series(
                build_study(each.found, self._at),
                build_series(each.found, each.delivery, self._at),
            )
            if each.found.is_scan and place.case_id is None:
                place = self._open_case(each, place)
            places[name] = place
        return places

    def _open_case(self, arrival: Arrival, place: SeriesPlace) -> SeriesPlace:
        caseless = self._repository.lock_caseless(place.id)
        if caseless is None:
            return place
        case = open_case(self._session, _build_case(arrival), self._at)
        caseless.case_id = case.id
        self._session.flush()
        return SeriesPlace(place.id, case.id)

    def _await_more(self, series: Iterable[UUID]) -> None:
        for series_id in sorted(set(series)):
            self._repository.await_more(series_id, self._at + self._quiet, self._quiet)


def _build_case(arrival: Arrival) -> NewCase:
    facts = merge_facts(arrival.found.header.identity, UploadFields(), None)
    sender = arrival.delivery.sender
    return NewCase(sender.id, sender.name, arrival.delivery.channel, facts, CaseState.RECEIVING)


def build_study(found: FoundObject, at: datetime) -> DicomStudyRow:
    """Give the row of an object's study."""
    names = found.header.identity
    return DicomStudyRow(
        study_uid=found.study_uid,
        patient_id=names.patient_id,
        patient_name=names.patient_name,
        accession=names.accession,
        description=names.description,
        study_date=found.header.study_date,
        study_time=found.header.study_time,
        attributes=found.header.study_attributes,
        received_at=at,
    )


def build_series(found: FoundObject, delivery: Delivery, at: datetime) -> DicomSeriesRow:
    """Give the row of an object's series."""
    sender = delivery.sender
    names = found.header.identity
    return DicomSeriesRow(
        id=draw_id(at),
        study_uid=found.study_uid,
        series_uid=found.series_uid,
        modality=names.modality,
        body_part=names.body_part,
        number=found.header.series_number,
        sender=sender.id,
        sender_name=sender.name,
        channel=delivery.channel,
        attributes=found.header.series_attributes,
        received_at=at,
    )


def build_instance(
    found: FoundObject, blob: StoredBlob, series: SeriesPlace, upload_id: UUID, at: datetime
) -> Row:
    """Give the values of an object's row; it belongs to no case yet.

    The row itself would cost more to build than to insert.
    """
    header = found.header
    return {
        "id": draw_id(at),
        "series_id": series.id,
        "study_uid": found.study_uid,
        "series_uid": found.series_uid,
        "sop_uid": found.sop_uid,
        "sop_class_uid": found.sop_class_uid,
        "transfer_syntax_uid": header.transfer_syntax_uid,
        "number": header.number,
        "rows": header.rows,
        "columns": header.columns,
        "frame_count": header.frame_count,
        "is_scan": found.is_scan,
        "slice_header": header.slice_header if found.is_scan else None,
        "sha256": blob.sha256,
        "size_bytes": blob.size_bytes,
        "upload_id": upload_id,
        "attributes": header.attributes,
        "received_at": at,
    }
