"""What the intake asks of the part that knows DICOM: to index the objects of an upload.

The index lies above the intake, which is handed one that fits these shapes.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from app.auth.permissions import Principal
from app.intake.identity import Identity
from app.storage.blobs import StoredBlob
from models.errors import AegleError

KEPT_UNSCORED = "kept_unscored"


@dataclass(frozen=True, slots=True)
class UploadPlace:
    """What an object came in with; `case_id` is None where it is kept beside and not scored."""

    sender: Principal
    upload_id: UUID
    case_id: UUID | None
    at: datetime


class UploadedObject(Protocol):
    """A DICOM file of an upload, whose header was read."""

    @property
    def name(self) -> str:
        """Its UIDs, empty where it has none; all who index several do it in the order of names."""

    @property
    def identity(self) -> Identity:
        """What its header says."""

    @property
    def is_scored(self) -> bool:
        """It is a scan, or nothing that could stand in the index: then it is scored as it is."""

    @property
    def refusal(self) -> AegleError | None:
        """Why the index cannot hold it, as far as its header tells."""

    def keep_file(self, path: Path | None) -> None:
        """Bring its file into the store, where the index keeps another one than the upload's.

        Raises:
            StorageError: it cannot be kept at the moment.
        """

    def keep(self, session: Session, place: UploadPlace) -> str | None:
        """Index it inside a transaction; the code word of the reason where it cannot be.

        Raises:
            BlobNotFound: the collector was faster; the caller tries again.
        """


class ObjectIndex(Protocol):
    """Reads the headers of uploads; `is_cleaning` where only cleaned files may be kept."""

    @property
    def is_cleaning(self) -> bool:
        """Patients are taken out of whatever comes in."""

    def clean(self, path: Path, size_bytes: int) -> bytes:
        """Give the file of an object without its patient.

        Raises:
            NotDeidentifiable: it is no DICOM.
            ObjectRefused: it is none that the index can hold.
            DecodeError: it cannot be read, or cannot be written again.
        """

    def read(self, blob: StoredBlob, path: Path | None) -> UploadedObject | None:
        """Read the header of a file; None where it is no DICOM.

        Args:
            blob: the file.
            path: where it lies, None where it is in the store.

        Raises:
            StorageError: it cannot be read at the moment.
        """
