"""What a DICOM object says of itself: the facts it is indexed by, and its header as DICOM JSON.

Read inside of the bounded child: every byte of it is the sender's.
"""

import json
import math
import re
from dataclasses import asdict
from typing import Any

from pydantic import Field
from pydicom.dataelem import DataElement
from pydicom.dataset import FileDataset
from pydicom.tag import BaseTag

from app.intake.identity import Identity, build_identity
from models.decoding.dicom_dataset import read_dicom
from models.decoding.foreign import translate_foreign
from models.decoding.limits import DecodeLimits
from models.decoding.slice_header import build_slice_header
from models.decoding.sniff import HEAD_BYTES, sniff_format
from models.errors import DecodeError, LimitExceeded, TooManyBytes, UnknownFormat
from models.specs import Spec

MAX_ATTRIBUTES = 16 * 2**20
_BULK_BYTES = 1024
_DIGITS = re.compile(r"[0-9][0-9.:]*")
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}")
_STUDY_TAGS = frozenset(
    {
        "00080005",
        "00080020",
        "00080030",
        "00080050",
        "00080090",
        "00080201",
        "00081030",
        "00081060",
        "00100010",
        "00100020",
        "00100021",
        "00100030",
        "00100032",
        "00100040",
        "00101010",
        "00104000",
        "0020000D",
        "00200010",
    }
)
_SERIES_TAGS = frozenset(
    {
        "00080005",
        "00080021",
        "00080031",
        "00080060",
        "00080201",
        "0008103E",
        "00080070",
        "00081010",
        "00081090",
        "00180015",
        "00185100",
        "0020000E",
        "00200011",
        "00200060",
        "00400244",
        "00400245",
        "00400253",
        "00400275",
    }
)

Json = dict[str, Any]


class ObjectHeader(Spec):
    """Facts of one object; `attributes` is DICOM JSON without bulk data, as text.

    `slice_header` says what tells its slice from others; `meta_class_uid` and `meta_sop_uid` are
    what the meta information repeats, None where it does not.
    """

    identity: Identity
    transfer_syntax_uid: str = Field(max_length=64)
    meta_class_uid: str | None = Field(default=None, max_length=64)
    meta_sop_uid: str | None = Field(default=None, max_length=64)
    number: int | None = None
    series_number: int | None = None
    rows: int | None = None
    columns: int | None = None
    frame_count: int = 1
    study_date: str | None = Field(default=None, max_length=8)
    study_time: str | None = Field(default=None, max_length=16)
    slice_header: Json
    attributes: str = Field(max_length=MAX_ATTRIBUTES)
    series_attributes: str = Field(max_length=MAX_ATTRIBUTES)
    study_attributes: str = Field(max_length=MAX_ATTRIBUTES)


def read_header(content: bytes, limits: DecodeLimits) -> ObjectHeader:
    """Read the header of a DICOM file.

    Raises:
        UnknownFormat: it is no DICOM file.
        DecodeError: the header cannot be read within the limits.
    """
    if sniff_format(content[:HEAD_BYTES]) != "dicom":
        raise UnknownFormat("found another format, expected DICOM")
    dataset = read_dicom(content, limits, with_pixels=False).dataset
    with translate_foreign("the DICOM header"):
        return _build_header(dataset)


def _build_header(dataset: FileDataset) -> ObjectHeader:
    attributes = _clean(_describe(dataset))
    return ObjectHeader(
        identity=build_identity(dataset),
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID)[:64],
        meta_class_uid=_read_meta(dataset, "MediaStorageSOPClassUID"),
        meta_sop_uid=_read_meta(dataset, "MediaStorageSOPInstanceUID"),
        number=_read_whole(dataset, "InstanceNumber"),
        series_number=_read_whole(dataset, "SeriesNumber"),
        rows=_read_whole(dataset, "Rows"),
        columns=_read_whole(dataset, "Columns"),
        frame_count=max(1, _read_whole(dataset, "NumberOfFrames") or 1),
        study_date=_read_digits(dataset, "StudyDate", 8),
        study_time=_read_digits(dataset, "StudyTime", 16),
        slice_header=asdict(build_slice_header(dataset)),
        attributes=_write(attributes),
        series_attributes=_write(_pick(attributes, _SERIES_TAGS)),
        study_attributes=_write(_pick(attributes, _STUDY_TAGS)),
    )


def _describe(dataset: FileDataset) -> Json:
    """Give the data set as JSON without what cannot be told; values that are merely odd stay.

    The library leaves out too much when asked to: such as positions of more than 16 characters.
    """
    try:
        with translate_foreign("the DICOM header"):
            return dict(dataset.to_json_dict(_BULK_BYTES, _name_bulk))
    except LimitExceeded:
        raise
    except DecodeError:
        told = {f"{int(tag):08X}": _describe_element(dataset, tag) for tag in dataset.keys()}  # noqa: SIM118 - not read yet
        return {tag: element for tag, element in told.items() if element is not None}


def _describe_element(dataset: FileDataset, tag: BaseTag) -> Json | None:
    try:
        with translate_foreign("the DICOM header"):
            return dict(dataset[tag].to_json_dict(_name_bulk, _BULK_BYTES))
    except LimitExceeded:
        raise
    except DecodeError:
        return None


def _name_bulk(element: DataElement) -> str:
    # Where the bytes are got is told when it is asked for: addresses change, the index does not.
    return f"bulkdata/{int(element.tag):08X}"


def _clean(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Give JSON in which numbers that JSON does not know are null."""
    if isinstance(value, dict):
        return {name: _clean(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _pick(attributes: Json, tags: frozenset[str]) -> Json:
    return {tag: value for tag, value in attributes.items() if tag in tags}


def _write(attributes: Json) -> str:
    text = json.dumps(attributes, separators=(",", ":"), allow_nan=False)
    if len(text) > MAX_ATTRIBUTES:
        raise TooManyBytes(f"the header takes more than {MAX_ATTRIBUTES} characters as JSON")
    return text


def _read_meta(dataset: FileDataset, keyword: str) -> str | None:
    return str(dataset.file_meta.get(keyword) or "").strip()[:64] or None


def _read_digits(dataset: FileDataset, keyword: str, characters: int) -> str | None:
    found = _DIGITS.match(str(dataset.get(keyword) or ""))
    return None if found is None else found.group()[:characters]


def _read_whole(dataset: FileDataset, keyword: str) -> int | None:
    found = _WHOLE.fullmatch(str(dataset.get(keyword)))
    return None if found is None else int(found.group())
