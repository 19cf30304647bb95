"""Taking DICOM objects in, whichever way they came: kept as blobs, indexed, put into their series.

An object whose receipt says that it is kept is on disk: its bytes, its rows and the time at which
its series becomes a case. Pixels are not decoded here; what cannot be decoded is told when the
case is scored.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.auth.permissions import Principal
from app.cases.orders import NewCase, NewUpload
from app.cases.service import keep_bare_upload, open_case
from app.cases.states import CaseState, Channel
from app.clock import Clock
from app.dicom.deidentify import IntakeCleaner
from app.dicom.drafts import ObjectDraft, add_meta
from app.dicom.header import ObjectHeader
from app.dicom.readers import HeaderReaders
from app.dicom.receipts import ObjectReceipt, describe_failure
from app.dicom.repository import DicomRepository, SeriesPlace
from app.dicom.sameness import is_same_object
from app.dicom.sop_classes import SCAN_CLASSES, STORAGE_CLASSES, TRANSFER_SYNTAXES
from app.dicom.tables import DicomInstanceRow, DicomSeriesRow, DicomStudyRow
from app.errors import (
    BlobNotFound,
    DatabaseUnavailable,
    DuplicateObject,
    MismatchedClass,
    MismatchedStudy,
    ObjectNotUnderstood,
    UnidentifiedObject,
    UnsupportedClass,
    UnsupportedSyntax,
)
from app.intake.facts import merge_facts
from app.intake.schemas import UploadFields
from app.storage.blobs import StoredBlob
from app.storage.grouping import GroupedWriter
from app.storage.identifiers import draw_id
from app.storage.opening import Storage
from app.storage.service import register_blob
from models.errors import AegleError

_TRIES = 3
_FLUSHERS = 8


@dataclass(frozen=True, slots=True)
class Delivery:
    """Who sends, which way, and into which study when only one is allowed.

    `is_ours` says that it is a result of ours, which names nobody that its scan does not name.
    """

    sender: Principal
    channel: Channel
    study_uid: str | None = None
    is_ours: bool = False


_ANYBODY = Delivery(Principal("", "", frozenset()), Channel.DICOMWEB)


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


class Receiver:
    """The one way for DICOM objects into the service; safe to share between threads."""

    def __init__(
        self,
        storage: Storage,
        readers: HeaderReaders,
        clock: Clock,
        quiet_s: float,
        cleaner: IntakeCleaner | None = None,
    ) -> None:
        """Take what it needs; with a `cleaner` objects are kept without their patient."""
        self.storage = storage
        self.readers = readers
        self.cleaner = cleaner
        self._clock = clock
        self._quiet = timedelta(seconds=quiet_s)
        self._writer = GroupedWriter(storage.database)
        self._flushers = ThreadPoolExecutor(_FLUSHERS, thread_name_prefix="flusher")

    def draft(self) -> ObjectDraft:
        """Begin an object whose bytes come piece by piece."""
        return ObjectDraft(self.storage.blobs.draft())

    def take_file(self, path: Path) -> ObjectDraft:
        """Take over a DICOM file that was written into the spool, with a preamble of zeros."""
        return ObjectDraft(self.storage.blobs.take_file(path), is_file=True)

    def receive(self, draft: ObjectDraft, delivery: Delivery) -> ObjectReceipt:
        """Keep an object, or tell why not; a refusal leaves nothing behind."""
        header: ObjectHeader | None = None
        try:
            path = draft.finish()
            if not draft.blob.size_bytes:
                raise ObjectNotUnderstood("the object is empty")
            header = self._read_header(draft, path)
            found = check_header(header, delivery, has_meta=draft.has_meta)
            if self.cleaner is None or delivery.is_ours:
                blob = self.keep_bytes(draft, path, header)
            else:
                found, blob = self._keep_clean(path, draft.blob.size_bytes, self.cleaner)
            self._keep(found, blob, delivery)
        except AegleError as error:
            return _build_receipt(header, error)
        return _build_receipt(header, None, is_renamed=found.header is not header)

    def _keep_clean(
        self, path: Path, size_bytes: int, cleaner: IntakeCleaner
    ) -> tuple[FoundObject, StoredBlob]:
        """Keep an object without its patient; the bytes that came are thrown away."""
        with self.draft() as clean:
            clean.write(cleaner.clean(path, size_bytes))
            header = self._read_header(clean, clean.finish())
            return check_header(header, _ANYBODY, has_meta=True), clean.blob.keep()

    def _read_header(self, draft: ObjectDraft, path: Path) -> ObjectHeader:
        """Read the header while the bytes go to the disk: a refusal costs one flush in vain."""
        flushed = self._flushers.submit(draft.blob.sync)
        try:
            return self.readers.read(path, draft.blob.size_bytes)
        finally:
            flushed.result()

    def close(self) -> None:
        """End the children and threads."""
        self.readers.close()
        if self.cleaner is not None:
            self.cleaner.close()
        self._flushers.shutdown()

    def find_name(self, study_uid: str) -> str:
        """Give the UID under which a study is kept, which is another one without its patient."""
        if self.cleaner is None:
            return study_uid
        return self.cleaner.crosswalk.find_uid(study_uid) or study_uid

    def keep_bytes(self, draft: ObjectDraft, path: Path, header: ObjectHeader) -> StoredBlob:
        """Put the file of an object into the store, whole whatever it came without."""
        if draft.has_meta:
            return draft.blob.keep()
        with add_meta(self.storage.blobs, path, header) as whole:
            return whole.keep()

    def _keep(self, found: FoundObject, blob: StoredBlob, delivery: Delivery) -> None:
        """Commit an object; a race with the collector or with the same object is run again."""
        for last in (False,) * (_TRIES - 1) + (True,):
            try:
                self._writer.run(lambda session: self._insert(session, found, blob, delivery))
            except (BlobNotFound, IntegrityError, DatabaseUnavailable):
                if last:
                    raise
            else:
                return

    def _insert(
        self, session: Session, found: FoundObject, blob: StoredBlob, delivery: Delivery
    ) -> None:
        at = self._clock.now()
        repository = DicomRepository(session)
        known = repository.find_sha256(found.sop_uid)
        if known is not None:
            if not is_same_object(self.storage.blobs, known, blob.sha256):
                raise DuplicateObject
            return
        register_blob(session, self.storage.blobs, blob, at)
        new = NewUpload(delivery.sender.id, blob.sha256, blob.size_bytes)
        upload_id = keep_bare_upload(session, new, at)
        study, series = build_study(found, at), build_series(found, delivery, at)
        place = repository.keep_series(study, series)
        if found.is_scan and place.case_id is None:
            caseless = repository.lock_caseless(place.id)
            if caseless is not None:
                caseless.case_id = open_case(session, _build_case(found, delivery), at).id
                session.flush()
        repository.add_instance(build_instance(found, blob, place, upload_id, at))
        if found.is_scan:
            repository.await_more(place.id, at + self._quiet, self._quiet)


def check_header(header: ObjectHeader, delivery: Delivery, *, has_meta: bool) -> FoundObject:
    """Let an object pass that is named, of a class and encoding we know, and in its study.

    Raises:
        ObjectRefused: it is not; the leaf says why.
    """
    names = header.identity
    if not (names.study_uid and names.series_uid and names.sop_class_uid and names.sop_uid):
        raise UnidentifiedObject
    found = FoundObject(
        header, names.study_uid, names.series_uid, names.sop_class_uid, names.sop_uid
    )
    if found.sop_class_uid not in STORAGE_CLASSES:
        raise UnsupportedClass
    if header.transfer_syntax_uid not in TRANSFER_SYNTAXES:
        raise UnsupportedSyntax
    if has_meta and not _is_meta_right(header):
        raise MismatchedClass
    if delivery.study_uid not in {None, found.study_uid}:
        raise MismatchedStudy
    return found


def _is_meta_right(header: ObjectHeader) -> bool:
    # Meta information may lack these; what it says must be true.
    names = header.identity
    return header.meta_class_uid in {None, names.sop_class_uid} and header.meta_sop_uid in {
        None,
        names.sop_uid,
    }


def _build_receipt(
    header: ObjectHeader | None, error: AegleError | None, *, is_renamed: bool = False
) -> ObjectReceipt:
    failure = None if error is None else describe_failure(error)
    if header is None:
        return ObjectReceipt(failure=failure)
    names = header.identity
    return ObjectReceipt(
        names.study_uid,
        names.series_uid,
        names.sop_class_uid,
        names.sop_uid,
        failure,
        is_renamed=is_renamed,
    )


def _build_case(found: FoundObject, delivery: Delivery) -> NewCase:
    facts = merge_facts(found.header.identity, UploadFields(), None)
    sender = delivery.sender
    return NewCase(sender.id, sender.name, delivery.channel, facts, CaseState.RECEIVING)


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
    names = found.header.identity
    return DicomSeriesRow(
        id=draw_id(at),
        study_uid=found.study_uid,
        series_uid=found.series_uid,
        modality=names.modality,
        body_part=names.body_part,
        number=found.header.series_number,
        sender=delivery.sender.id,
        sender_name=delivery.sender.name,
        channel=delivery.channel,
        attributes=found.header.series_attributes,
        received_at=at,
    )


def build_instance(
    found: FoundObject, blob: StoredBlob, series: SeriesPlace, upload_id: UUID, at: datetime
) -> DicomInstanceRow:
    """Give the row of an object; it belongs to no case yet."""
    header = found.header
    return DicomInstanceRow(
        id=draw_id(at),
        series_id=series.id,
        study_uid=found.study_uid,
        series_uid=found.series_uid,
        sop_uid=found.sop_uid,
        sop_class_uid=found.sop_class_uid,
        transfer_syntax_uid=header.transfer_syntax_uid,
        number=header.number,
        rows=header.rows,
        columns=header.columns,
        frame_count=header.frame_count,
        is_scan=found.is_scan,
        slice_header=header.slice_header if found.is_scan else None,
        sha256=blob.sha256,
        size_bytes=blob.size_bytes,
        upload_id=upload_id,
        attributes=header.attributes,
        received_at=at,
    )
