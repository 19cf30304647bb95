"""Taking DICOM objects in, whichever way they came: kept as blobs, indexed, put into their series.

An object whose receipt says that it is kept is on disk: its bytes, its rows and the time at which
its series becomes a case. Pixels are not decoded here; what cannot be decoded is told when the
case is scored.
"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.auth.permissions import Principal
from app.cases.states import Channel
from app.clock import Clock
from app.dicom.deidentify import IntakeCleaner
from app.dicom.drafts import ObjectDraft, add_meta
from app.dicom.header import ObjectHeader
from app.dicom.indexing import Arrival, Delivery, FoundObject, Indexer
from app.dicom.readers import HeaderReaders
from app.dicom.receipts import ObjectReceipt, describe_failure
from app.dicom.sop_classes import STORAGE_CLASSES, TRANSFER_SYNTAXES
from app.errors import (
    BlobNotFound,
    DatabaseUnavailable,
    MismatchedClass,
    MismatchedStudy,
    ObjectNotUnderstood,
    UnidentifiedObject,
    UnsupportedClass,
    UnsupportedSyntax,
)
from app.storage.blobs import StoredBlob
from app.storage.grouping import BatchWriter
from app.storage.opening import Storage
from models.errors import AegleError

_TRIES = 3


_ANYBODY = Delivery(Principal("", "", frozenset()), Channel.DICOMWEB)


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
        self._writer = BatchWriter(storage.database, self._insert)

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
            self._keep(Arrival(found, blob, delivery))
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
        return self.readers.read(path, draft.blob.size_bytes, draft.blob.sync)

    def close(self) -> None:
        """End the children."""
        self.readers.close()
        if self.cleaner is not None:
            self.cleaner.close()

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

    def _keep(self, arrival: Arrival) -> None:
        """Commit an object; a race with the collector or with the same object is run again."""
        for last in (False,) * (_TRIES - 1) + (True,):
            try:
                self._writer.run(arrival)
            except (BlobNotFound, IntegrityError, DatabaseUnavailable):
                if last:
                    raise
            else:
                return

    def _insert(self, session: Session, arrivals: Sequence[Arrival]) -> Sequence[None]:
        Indexer(session, self.storage.blobs, self._clock.now(), self._quiet).add(arrivals)
        return [None] * len(arrivals)


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
