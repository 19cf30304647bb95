"""The bounded child process that reads headers of DICOM objects. Started by `HeaderReaders`.

It confines itself as the decoders' child does.
"""

import logging
import os
import sys
from pathlib import Path
from typing import BinaryIO

from app.dicom.header import ObjectHeader, read_header
from models.decoding.limits import DecodeLimits
from models.decoding.part import read_part
from models.decoding.wire import LENGTH, AnswerHeader, frame_header
from models.decoding.worker_main import confine, limit_request, read_status
from models.errors import DecodeError, MemoryExceeded
from models.specs import Spec


class HeaderRequest(Spec):
    """Read the header of this file."""

    path: str
    limits: DecodeLimits


class HeaderAnswer(Spec):
    """A header, or why there is none."""

    header: ObjectHeader | None = None
    error: str = ""
    message: str = ""


def main() -> None:
    """Serve requests until the parent closes the pipe."""
    logging.disable()
    source = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as answers, Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        confine()
        _serve(source, answers, read_status("VmSize"))


def _serve(source: BinaryIO, answers: BinaryIO, base: int) -> None:
    answers.write(frame_header(AnswerHeader(kind="ready")))
    answers.flush()
    while length := source.read(LENGTH.size):
        request = HeaderRequest.model_validate_json(source.read(*LENGTH.unpack(length)))
        limit_request(request.limits, base)
        answers.write(frame_header(_answer(request)))
        answers.flush()


def _answer(request: HeaderRequest) -> HeaderAnswer:
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
