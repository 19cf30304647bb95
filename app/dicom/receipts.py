"""What came of one object: kept, or refused with its failure reason (PS3.4 B.2.3)."""

from dataclasses import dataclass

from app.errors import ObjectNotUnderstood, ObjectRefused, StorageError, StorageFull
from models.errors import AegleError, DecodeError, LimitExceeded

PROCESSING_FAILURE = 0x0110
OUT_OF_ROOM = 0xA700
TOO_LARGE = 0xA701
NOT_NOW = 0xA702


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an object is not kept: `reason` as a number for programs, `code` and `message` beside."""

    reason: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ObjectReceipt:
    """One object of a message; what could be read of its identity, and its failure or None.

    `is_renamed` says that it is kept without its patient, under names that are not told.
    """

    study_uid: str | None = None
    series_uid: str | None = None
    sop_class_uid: str | None = None
    sop_uid: str | None = None
    failure: Failure | None = None
    is_renamed: bool = False

    @property
    def is_kept(self) -> bool:
        """The object is on disk."""
        return self.failure is None


def describe_failure(error: AegleError) -> Failure:
    """Give the failure reason of an error."""
    return Failure(_find_reason(error), error.code, str(error))


def _find_reason(error: AegleError) -> int:
    if isinstance(error, ObjectRefused):
        return error.failure_reason
    if isinstance(error, StorageFull):
        return OUT_OF_ROOM
    if isinstance(error, LimitExceeded):
        return TOO_LARGE
    if isinstance(error, DecodeError):
        return ObjectNotUnderstood.failure_reason
    return NOT_NOW if isinstance(error, StorageError) else PROCESSING_FAILURE
