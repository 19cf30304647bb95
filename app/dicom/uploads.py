"""DICOM files that came over REST into the index, beside those of STOW and C-STORE.

The upload's own transaction puts them there. What the index cannot hold is scored all the same,
and its receipt says why: REST takes pictures of every kind, whole objects or not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from app.auth.permissions import Principal
from app.cases.states import Channel
from app.dicom.drafts import has_meta_information, is_kept_as_it_is
from app.dicom.indexing import (
    Delivery,
    FoundObject,
    build_instance,
    build_series,
    build_study,
)
from app.dicom.receiving import Receiver, check_header
from app.dicom.repository import DicomRepository
from app.dicom.sameness import is_same_object
from app.errors import DuplicateObject, NotDeidentifiable, ObjectRefused
from app.intake.identity import Identity
from app.intake.objects import UploadedObject, UploadPlace
from app.storage.blobs import CHUNK_BYTES, BlobStore, StoredBlob, translate_disk_errors
from app.storage.service import register_blob
from models.decoding.sniff import HEAD_BYTES, sniff_format
from models.errors import DecodeError, UnknownFormat

_ANYBODY = Delivery(Principal("", "", frozenset()), Channel.REST)


class IndexableObject:
    """An object that may stand in the index."""

    refusal = None

    def __init__(self, receiver: Receiver, found: FoundObject, blob: StoredBlob) -> None:
        self._receiver = receiver
        self._found = found
        self._blob = blob

    @property
    def name(self) -> str:
        """Its UIDs."""
        return f"{self._found.study_uid} {self._found.series_uid} {self._found.sop_uid}"

    @property
    def identity(self) -> Identity:
        """What its header says."""
        return self._found.header.identity

    @property
    def is_scored(self) -> bool:
        """It is a scan."""
        return self._found.is_scan

    def keep_file(self, path: Path | None) -> None:
        """Keep the file again, whole and with a preamble that says nothing, where it is not so."""
        store = self._receiver.storage.blobs
        with find_file(store, self._blob, path) as place:
            if is_kept_as_it_is(_read_head(place)):
                return
            with self._receiver.draft() as draft:
                with translate_disk_errors(), place.open("rb") as file:
                    while chunk := file.read(CHUNK_BYTES):
                        draft.write(chunk)
                header = self._found.header
                self._blob = self._receiver.keep_bytes(draft, draft.finish(), header)

    def keep(self, session: Session, place: UploadPlace) -> str | None:
        """Index it, unless another object of its name is there; the same one stays as it is."""
        found, store = self._found, self._receiver.storage.blobs
        repository = DicomRepository(session)
        known = repository.find_digests([found.sop_uid]).get(found.sop_uid)
        if known is not None:
            is_same = is_same_object(store, known, self._blob.sha256)
            return None if is_same else DuplicateObject().code
        register_blob(session, store, self._blob, place.at)
        delivery = Delivery(place.sender, Channel.REST)
        study, series = build_study(found, place.at), build_series(found, delivery, place.at)
        kept = repository.keep_series(study, series)
        row = build_instance(found, self._blob, kept, place.upload_id, place.at)
        if self.is_scored:
            row["case_id"] = place.case_id
            caseless = repository.lock_caseless(kept.id)
            if caseless is not None:
                caseless.case_id = place.case_id
                session.flush()
        repository.add_instances([row])
        return None


@dataclass(frozen=True, slots=True)
class UnindexableObject:
    """A DICOM file that the index refuses; it is scored as it is."""

    refusal: DecodeError | ObjectRefused
    name: str = ""
    is_scored: bool = True

    @property
    def identity(self) -> Identity:
        """Nothing that it says is indexed."""
        return Identity()

    def keep_file(self, path: Path | None) -> None:
        """Keep nothing beside the upload."""

    def keep(self, session: Session, place: UploadPlace) -> str | None:  # noqa: ARG002 - as the other does
        """Tell why it is not indexed."""
        return self.refusal.code


class UploadIndex:
    """Reads DICOM files of uploads for the index; safe to share between threads."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    @property
    def is_cleaning(self) -> bool:
        """Patients are taken out of whatever comes in."""
        return self._receiver.cleaner is not None

    def clean(self, path: Path, size_bytes: int) -> bytes:
        """Give the file of an object without its patient.

        Raises:
            NotDeidentifiable: it is no DICOM.
            ObjectRefused: it is none that the index can hold.
            DecodeError: it cannot be read, or cannot be written again.
        """
        head, cleaner = _read_head(path), self._receiver.cleaner
        if cleaner is None or not _is_dicom(head):
            raise NotDeidentifiable
        header = self._receiver.readers.read(path, size_bytes)
        check_header(header, _ANYBODY, has_meta=has_meta_information(head))
        return cleaner.clean(path, size_bytes)

    def read(self, blob: StoredBlob, path: Path | None) -> UploadedObject | None:
        """Read the header of a file; None where it is no DICOM.

        Raises:
            StorageError: it cannot be read at the moment.
        """
        with find_file(self._receiver.storage.blobs, blob, path) as place:
            head = _read_head(place)
            if not _is_dicom(head):
                return None
            try:
                header = self._receiver.readers.read(place, blob.size_bytes)
                found = check_header(header, _ANYBODY, has_meta=has_meta_information(head))
            except (DecodeError, ObjectRefused) as error:
                return UnindexableObject(error)
        return IndexableObject(self._receiver, found, blob)


@contextmanager
def find_file(store: BlobStore, blob: StoredBlob, path: Path | None) -> Iterator[Path]:
    """Give a file of a blob, for as long as the block lasts; `path` where it is known to lie."""
    found = path or store.find_path(blob.sha256)
    if found is not None:
        yield found
        return
    with store.draft() as draft:
        for chunk in store.read_chunks(blob.sha256):
            draft.write(chunk)
        yield draft.flush()


def _read_head(place: Path) -> bytes:
    with translate_disk_errors(), place.open("rb") as file:
        return file.read(HEAD_BYTES)


def _is_dicom(head: bytes) -> bool:
    try:
        return sniff_format(head) == "dicom"
    except UnknownFormat:
        return False
