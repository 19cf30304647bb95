"""What every route of DICOMweb needs: the object asked for, the forms taken, the reader."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from app.dicom.media import DICOM_JSON, Wanted, parse_accept
from app.dicom.retrieval import ObjectName, ObjectReader
from app.dicom.tables import DicomInstanceRow


class JsonAnswer(Response):
    """DICOM JSON."""

    media_type = DICOM_JSON


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for objects: `wanted` are the forms that are taken, `path` is its own address."""

    reader: ObjectReader
    name: ObjectName
    wanted: tuple[Wanted, ...]
    path: str

    def find(self) -> Sequence[DicomInstanceRow]:
        """Give the instances that are asked for.

        Raises:
            ObjectNotFound: there is none of that name.
        """
        return self.reader.find(self.name)


def get_reader(request: Request) -> ObjectReader:
    """Give what objects are read with, of the application that answers."""
    reader: ObjectReader = request.app.state.objects
    return reader


TheReader = Annotated[ObjectReader, Depends(get_reader)]


def ask_study(request: Request, study_uid: str, reader: TheReader) -> Asked:
    """Give a request for a study."""
    return _ask(request, reader, ObjectName(study_uid))


def ask_series(request: Request, study_uid: str, series_uid: str, reader: TheReader) -> Asked:
    """Give a request for a series."""
    return _ask(request, reader, ObjectName(study_uid, series_uid))


def ask_instance(
    request: Request, study_uid: str, series_uid: str, sop_uid: str, reader: TheReader
) -> Asked:
    """Give a request for an instance."""
    return _ask(request, reader, ObjectName(study_uid, series_uid, sop_uid))


AskedStudy = Annotated[Asked, Depends(ask_study)]
AskedSeries = Annotated[Asked, Depends(ask_series)]
AskedInstance = Annotated[Asked, Depends(ask_instance)]


def write_json(found: list[dict[str, Any]], warnings: Iterable[str] = ()) -> Response:
    """Answer DICOM JSON, with what the caller should know besides."""
    answer = JsonAnswer(json.dumps(found, separators=(",", ":"), allow_nan=False))
    for text in warnings:
        answer.headers.append("Warning", text)
    return answer


def _ask(request: Request, reader: ObjectReader, name: ObjectName) -> Asked:
    wanted = parse_accept(request.headers.get("accept"))
    return Asked(reader, name, wanted, str(request.url.path))
