"""What a DICOM file says of itself and its patient: the facts a case is found by."""

import re
from dataclasses import dataclass

from pydantic import Field
from pydicom.dataset import FileDataset

from models.decoding.dicom_dataset import read_dicom
from models.decoding.foreign import translate_foreign
from models.decoding.limits import DecodeLimits
from models.decoding.sniff import HEAD_BYTES, sniff_format
from models.errors import DecodeError, LimitExceeded
from models.specs import Spec

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_UID_CHARACTERS = 64


class Identity(Spec):
    """Facts from a header, cleaned of control characters and cut to the width of their columns."""

    patient_id: str | None = Field(default=None, max_length=128)
    patient_name: str | None = Field(default=None, max_length=256)
    accession: str | None = Field(default=None, max_length=64)
    description: str | None = Field(default=None, max_length=256)
    site: str | None = Field(default=None, max_length=64)
    modality: str | None = Field(default=None, max_length=16)
    body_part: str | None = Field(default=None, max_length=64)
    device: str | None = Field(default=None, max_length=128)
    study_uid: str | None = Field(default=None, max_length=64)
    series_uid: str | None = Field(default=None, max_length=64)
    sop_class_uid: str | None = Field(default=None, max_length=64)
    sop_uid: str | None = Field(default=None, max_length=64)


@dataclass(frozen=True, slots=True)
class _Text:
    keywords: tuple[str, ...]
    characters: int


_TEXTS = {
    "patient_id": _Text(("PatientID",), 128),
    "patient_name": _Text(("PatientName",), 256),
    "accession": _Text(("AccessionNumber",), 64),
    "description": _Text(("StudyDescription", "SeriesDescription"), 256),
    "site": _Text(("InstitutionName",), 64),
    "modality": _Text(("Modality",), 16),
    "body_part": _Text(("BodyPartExamined",), 64),
    "device": _Text(("Manufacturer", "ManufacturerModelName"), 128),
}
_UIDS = {
    "study_uid": "StudyInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "sop_class_uid": "SOPClassUID",
    "sop_uid": "SOPInstanceUID",
}


def read_identity(content: bytes, limits: DecodeLimits) -> Identity:
    """Read the facts of a file; empty for other formats and for headers that are broken.

    Runs inside the bounded child: the header is untrusted.

    Raises:
        LimitExceeded: the header asks for more than the limits allow.
    """
    try:
        if sniff_format(content[:HEAD_BYTES]) != "dicom":
            return Identity()
        with translate_foreign("the DICOM header"):
            return build_identity(read_dicom(content, limits, with_pixels=False).dataset)
    except LimitExceeded:
        raise
    except DecodeError:
        return Identity()


def find_identity(content: bytes, limits: DecodeLimits) -> Identity:
    """Read the facts of a file, empty whatever is wrong with it: one of many in an archive."""
    try:
        return read_identity(content, limits)
    except LimitExceeded:
        return Identity()


def build_identity(dataset: FileDataset) -> Identity:
    """Take the facts out of a data set."""
    texts = {
        name: clean_text(" ".join(_read_text(dataset, word) for word in text.keywords), text)
        for name, text in _TEXTS.items()
    }
    uids = {name: _clean_uid(_read_text(dataset, keyword)) for name, keyword in _UIDS.items()}
    return Identity.model_validate(texts | uids)


def clean_text(value: str, text: _Text) -> str | None:
    """Give a text without control characters, no longer than its column; None when empty."""
    shown = "".join(letter if letter.isprintable() else " " for letter in value)
    return " ".join(shown.split())[: text.characters] or None


def _read_text(dataset: FileDataset, keyword: str) -> str:
    value = dataset.get(keyword)
    return "" if value is None else str(value)


def _clean_uid(value: str) -> str | None:
    # Anything that is no UID (PS3.5 9.1), such as a path, is dropped.
    is_uid = len(value) <= _UID_CHARACTERS and _UID.fullmatch(value)
    return value if is_uid else None
