"""The bounded child process that takes patients out of objects. Started by `IntakeCleaner`.

It confines itself as the decoders' child does. For each file it tells which names are to be
replaced, is told what stands for them, and gives the file.
"""

from pathlib import Path
from typing import BinaryIO

from pydantic import Field
from pydicom.dataset import FileDataset

from app.dicom.profile import PATIENT_CHARACTERS, Substitutes, rename, strip_patient
from models.decoding.bounded_loop import serve_requests
from models.decoding.dicom_dataset import read_dicom
from models.decoding.foreign import translate_foreign
from models.decoding.limits import DecodeLimits
from models.decoding.part import read_part
from models.decoding.wire import LENGTH, BoundedRequest, frame_header
from models.errors import DecodeError, MemoryExceeded
from models.specs import Spec

_MAX_UIDS = 100_000


class CleanRequest(BoundedRequest):
    """Clean this file."""

    path: str


class CleanNames(Spec):
    """What stands for the names that were told."""

    uids: dict[str, str]
    patient: str


class CleanAnswer(Spec):
    """Names to be replaced, then the size of the file that follows; or why there is none."""

    uids: tuple[str, ...] = Field(default=(), max_length=_MAX_UIDS)
    patient: str = Field(default="", max_length=PATIENT_CHARACTERS)
    size_bytes: int = 0
    error: str = ""
    message: str = ""


def main() -> None:
    """Serve requests until the parent closes the pipe."""
    serve_requests(CleanRequest, _answer)


def _answer(request: CleanRequest, source: BinaryIO, answers: BinaryIO) -> bool:
    try:
        content = _clean(request, source, answers)
    except MemoryError:
        answers.write(_refuse(MemoryExceeded()))
        return False
    except DecodeError as error:
        answers.write(_refuse(error))
        return False  # the parent may have sent names that nobody reads
    answers.write(frame_header(CleanAnswer(size_bytes=len(content))))
    answers.write(content)
    return True


def _clean(request: CleanRequest, source: BinaryIO, answers: BinaryIO) -> bytes:
    dataset = _read(Path(request.path), request.limits)
    with translate_foreign("the object to de-identify"):
        names = strip_patient(dataset, is_ours=False)
    answers.write(frame_header(CleanAnswer(uids=tuple(names.uids), patient=names.patient)))
    answers.flush()
    (length,) = LENGTH.unpack(source.read(LENGTH.size))
    told = CleanNames.model_validate_json(source.read(length))
    with translate_foreign("the object to de-identify"):
        return rename(dataset, Substitutes(told.uids, told.patient))


def _read(path: Path, limits: DecodeLimits) -> FileDataset:
    return read_dicom(read_part(path, limits), limits, with_pixels=True).dataset


def _refuse(error: DecodeError) -> bytes:
    return frame_header(CleanAnswer(error=error.code, message=str(error)))


if __name__ == "__main__":
    main()
