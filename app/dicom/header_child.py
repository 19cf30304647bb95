"""The bounded child process that reads headers of DICOM objects. Started by `HeaderReaders`.

It confines itself as the decoders' child does.
"""

from pathlib import Path
from typing import BinaryIO

from app.dicom.header import ObjectHeader, read_header
from models.decoding.bounded_loop import serve_requests
from models.decoding.part import read_part
from models.decoding.wire import BoundedRequest, frame_header
from models.errors import DecodeError, MemoryExceeded
from models.specs import Spec


class HeaderRequest(BoundedRequest):
    """Read the header of this file."""

    path: str


class HeaderAnswer(Spec):
    """A header, or why there is none."""

    header: ObjectHeader | None = None
    error: str = ""
    message: str = ""


def main() -> None:
    """Serve requests until the parent closes the pipe."""
    serve_requests(HeaderRequest, _answer)


def _answer(request: HeaderRequest, _: BinaryIO, answers: BinaryIO) -> bool:
    answers.write(frame_header(_read(request)))
    return True


def _read(request: HeaderRequest) -> HeaderAnswer:
    try:
        content = read_part(Path(request.path), request.limits)
        return HeaderAnswer(header=read_header(content, request.limits))
    except MemoryError:
        return _refuse(MemoryExceeded())
    except DecodeError as error:
        return _refuse(error)


def _refuse(error: DecodeError) -> HeaderAnswer:
    return HeaderAnswer(error=error.code, message=str(error))


if __name__ == "__main__":
    main()
