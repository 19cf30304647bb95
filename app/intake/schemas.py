"""What the upload routes take and give."""

import json
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from app.cases.schemas import CaseDetail
from app.errors import InvalidRequest

_ID = "0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a"
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_MAX_TAGS = 32

Word = Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True)]


def _read_tags(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value


class UploadFields(BaseModel):
    """Fields beside the file; each counts only where the file itself says nothing."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    patient_id: Annotated[str, Field(max_length=128)] | None = None
    patient_name: Annotated[str, Field(max_length=256)] | None = None
    accession: Annotated[str, Field(max_length=64)] | None = None
    description: Annotated[str, Field(max_length=256)] | None = None
    site: Word | None = None
    modality: Annotated[str, Field(max_length=16)] | None = None
    tags: Annotated[dict[Word, Word], BeforeValidator(_read_tags)] = Field(
        default_factory=dict, max_length=_MAX_TAGS, description="A JSON object of short texts."
    )

    @classmethod
    def read(cls, fields: dict[str, str]) -> Self:
        """Check the fields of a form.

        Raises:
            InvalidRequest: one is not known, or not of its form; what was sent is not repeated.
        """
        try:
            return cls.model_validate({name: value for name, value in fields.items() if value})
        except (ValidationError, ValueError, RecursionError):
            known = ", ".join(cls.model_fields)
            raise InvalidRequest(f"fields beside the file are {known}, each short") from None


class FileReceipt(BaseModel):
    """What came of one file of an upload."""

    label: str | None = Field(description="Name inside of an archive.", examples=["slice01.dcm"])
    sha256: str | None = Field(description="Null where it was not kept.", examples=[_DIGEST])
    size_bytes: int | None = Field(examples=[50176])
    case_id: UUID | None = Field(description="Null where it became none.", examples=[_ID])
    verdict: str | None = Field(description="Of its case, once scored.", examples=["typical"])
    slice_index: int | None = Field(
        description="Its first slice in the scan of its case, counted from 0.", examples=[0]
    )
    slice_count: int | None = Field(description="Its slices.", examples=[1])
    slice_score: float | None = Field(description="Of its strangest slice.", examples=[0.12])
    failure_code: str | None = Field(
        description="Why its case was set aside, why it gave no slice of it, or why it is part of "
        "none: `not_a_scan` (hidden, text or DICOMDIR), `duplicate_file`, `kept_unscored` (a DICOM "
        "object that is no scan).",
        examples=[None],
    )
    index_code: str | None = Field(
        default=None,
        description="Why a DICOM file is not listed by DICOMweb, and has no DICOM results.",
        examples=["unidentified_object"],
    )


class Receipt(BaseModel):
    """Bytes that were taken in and are on disk, and the cases they became."""

    upload_id: UUID = Field(examples=[_ID])
    sha256: str = Field(description="Of the bytes as handed in.", examples=[_DIGEST])
    size_bytes: int = Field(examples=[50176])
    received_at: datetime
    is_known: bool = Field(description="The sender had handed in these bytes before.")
    is_done: bool = Field(description="Every case was scored, or set aside.")
    cases: list[CaseDetail]
    files: list[FileReceipt]
