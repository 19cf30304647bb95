"""Objects without their patient: the same person always the same, by what the database says.

What comes from strangers is read in a bounded child; results of ours are cleaned where they are.
"""

import time
from pathlib import Path
from threading import Lock

from pydantic import ValidationError

from app.dicom.clean_child import CleanAnswer, CleanNames, CleanRequest
from app.dicom.crosswalk import Crosswalk
from app.dicom.profile import Names, rename, strip_patient
from app.intake.unpacker import tighten_limits
from models.decoding.child_process import ChildProcess
from models.decoding.dicom_dataset import read_dicom
from models.decoding.foreign import translate_foreign
from models.decoding.limits import DecodeLimits
from models.decoding.wire import frame_header
from models.decoding.worker import find_error
from models.errors import CorruptScan, TooManyBytes

_MODULE = "app.dicom.clean_child"


class Deidentifier:
    """Takes the patient out of results of ours, on their way to a target."""

    def __init__(self, crosswalk: Crosswalk) -> None:
        self._crosswalk = crosswalk

    def clean(self, content: bytes, *, is_ours: bool = False) -> bytes:
        """Give the file of an object without its patient.

        Args:
            content: a DICOM file.
            is_ours: it is a result of ours, whose structured content names nobody.

        Raises:
            DecodeError: it cannot be read, or cannot be written again.
        """
        dataset = read_dicom(content, DecodeLimits(), with_pixels=True).dataset
        with translate_foreign("the object to de-identify"):
            names = strip_patient(dataset, is_ours=is_ours)
            substitutes = self._crosswalk.substitute(names)
            return rename(dataset, substitutes)


class IntakeCleaner:
    """Takes the patient out of what comes in, in one child process; safe to share."""

    def __init__(self, crosswalk: Crosswalk, limits: DecodeLimits) -> None:
        self.crosswalk = crosswalk
        self._limits = limits
        self._lock = Lock()
        self._child: ChildProcess | None = None

    def close(self) -> None:
        """End the child process."""
        with self._lock:
            self._end()

    def clean(self, path: Path, size_bytes: int) -> bytes:
        """Give the file of an object without its patient.

        Raises:
            DecodeError: it cannot be read within the limits, or cannot be written again.
            StorageError: the crosswalk cannot be reached at the moment.
        """
        limits = tighten_limits(self._limits, size_bytes)
        with self._lock:
            self._child = self._child or ChildProcess(_MODULE)
            is_whole = False
            try:
                content = self._ask(
                    self._child, CleanRequest(path=str(path.absolute()), limits=limits)
                )
                is_whole = True
            finally:
                if not is_whole or self._child.is_spent:
                    self._end()
        return content

    def _ask(self, child: ChildProcess, request: CleanRequest) -> bytes:
        child.await_ready()
        deadline = time.monotonic() + request.limits.timeout_s
        child.send([frame_header(request)], deadline)
        told = _receive(child, deadline)
        substitutes = self.crosswalk.substitute(Names(frozenset(told.uids), told.patient))
        names = CleanNames(uids=substitutes.uids, patient=substitutes.patient)
        child.send([frame_header(names)], deadline)
        size_bytes = _receive(child, deadline).size_bytes
        if size_bytes > request.limits.max_inflated_bytes:
            raise TooManyBytes
        return child.receive(size_bytes, deadline).tobytes()

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
        self._child = None


def _receive(child: ChildProcess, deadline: float) -> CleanAnswer:
    try:
        answer = CleanAnswer.model_validate_json(child.receive_text(deadline))
    except ValidationError:
        raise CorruptScan("the cleaner gave an answer that is no answer") from None
    if answer.error:
        raise find_error(answer.error, answer.message)
    return answer
