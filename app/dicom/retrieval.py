"""Objects of the index for whoever asks: found by name, given as they are kept."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from app.analysis.decoders import Decoders
from app.audit.service import Action
from app.cases.viewing import ViewLog
from app.dicom.errors import ObjectNotFound
from app.dicom.media import DICOM, AnswerPart
from app.dicom.search_repository import SearchRepository
from app.dicom.tables import DicomInstanceRow
from app.storage.opening import Storage
from models.decoding.dicom_dataset import read_dicom
from models.decoding.limits import DecodeLimits

_BULK = '"BulkDataURI":"bulkdata/'


@dataclass(frozen=True, slots=True)
class ObjectName:
    """A study, a series of it, or an instance of that."""

    study_uid: str
    series_uid: str | None = None
    sop_uid: str | None = None

    @property
    def path(self) -> str:
        """The address below the service's root (PS3.18 table 10.1-1)."""
        parts = ("studies", self.study_uid, "series", self.series_uid, "instances", self.sop_uid)
        known = 2 + 2 * (self.series_uid is not None) + 2 * (self.sop_uid is not None)
        return "/".join(str(part) for part in parts[:known])


@dataclass(frozen=True, slots=True)
class ObjectReader:
    """What objects are read with."""

    storage: Storage
    decoders: Decoders
    views: ViewLog
    limits: DecodeLimits
    address: str

    def find(self, name: ObjectName) -> Sequence[DicomInstanceRow]:
        """Give the instances of that name.

        Raises:
            ObjectNotFound: there is none.
        """
        with self.storage.database.reading() as session:
            repository = SearchRepository(session)
            rows = repository.list_objects(name.study_uid, name.series_uid, name.sop_uid)
        if not rows:
            raise ObjectNotFound
        return rows

    def read(self, row: DicomInstanceRow) -> bytes:
        """Give the file of an instance."""
        return self.storage.blobs.read(row.sha256)

    def note(
        self, caller: str, rows: Sequence[DicomInstanceRow], action: Action, what: str
    ) -> None:
        """Note in the audit trail who was given which series."""
        for series_id in dict.fromkeys(row.series_id for row in rows):
            self.views.note_object(caller, series_id, action, what)

    def list_parts(self, rows: Sequence[DicomInstanceRow]) -> Iterator[AnswerPart]:
        """Give whole files as parts of an answer."""
        for row in rows:
            yield AnswerPart(
                kind=f"{DICOM}; transfer-syntax={row.transfer_syntax_uid}",
                place=f"{self.address}/{name_row(row).path}",
                chunks=self.storage.blobs.read_chunks(row.sha256),
            )

    def write_metadata(self, rows: Sequence[DicomInstanceRow]) -> Iterator[bytes]:
        """Give the headers as a list of DICOM JSON, from the index alone."""
        for number, row in enumerate(rows):
            address = f'"BulkDataURI":"{self.address}/{name_row(row).path}/bulkdata/'
            yield b"," if number else b"["
            yield row.attributes.replace(_BULK, address).encode()
        yield b"]"

    def read_bulk(self, row: DicomInstanceRow, tag: str) -> bytes:
        """Give a long value that metadata leave out.

        Raises:
            ObjectNotFound: the object has no such value.
        """
        told: dict[str, Any] = json.loads(row.attributes)
        if "BulkDataURI" not in told.get(tag, {}):
            raise ObjectNotFound
        dataset: Dataset = read_dicom(self.read(row), self.limits, with_pixels=False).dataset
        value = dataset[int(tag, 16)].value
        return value if isinstance(value, bytes) else str(value).encode()


def name_row(row: DicomInstanceRow) -> ObjectName:
    """Give the name of an instance."""
    return ObjectName(row.study_uid, row.series_uid, row.sop_uid)
