"""What an upload holds: its scans and their files, listed in a bounded child process."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from pydantic import ValidationError

from app.cases.orders import LeftOut
from app.errors import NotDeidentifiable, ObjectRefused
from app.intake.identity import Identity
from app.intake.unpack_child import UnpackAnswer, UnpackRequest
from app.storage.blobs import CHUNK_BYTES, BlobStore, StoredBlob
from models.decoding.child_process import ChildProcess
from models.decoding.limits import MEBI, DecodeLimits
from models.decoding.part import read_head
from models.decoding.sniff import sniff_format
from models.decoding.wire import frame_header
from models.decoding.worker import find_error
from models.errors import CorruptScan, DecodeError, NoPixels, TooManyBytes

_MODULE = "app.intake.unpack_child"
_FREE_BYTES = 16 * MEBI  # to inflate as much takes a twentieth of a second
_MOST_INFLATION = 50
_HEADED = {"dicom", "zip"}

# Gives the bytes of a file without its patient.
Clean = Callable[[Path, int], bytes]

NOT_A_SCAN = "not_a_scan"
DUPLICATE_FILE = "duplicate_file"


@dataclass(frozen=True, slots=True)
class UnpackedFile:
    """One file of a scan, kept as a blob; `label` is its name inside of an archive."""

    blob: StoredBlob
    label: str
    identity: Identity


@dataclass(frozen=True, slots=True)
class UnpackedScan:
    """The files of one scan, in the order of its slices."""

    files: tuple[UnpackedFile, ...]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The scans of an upload, and its files that are part of none, each with why."""

    scans: tuple[UnpackedScan, ...]
    left_out: tuple[LeftOut, ...] = ()


class Unpacker:
    """Lists uploads in one child process, one at a time; safe to share between threads.

    With `clean`, which gives a file without its patient, nothing else is kept.
    """

    def __init__(self, store: BlobStore, limits: DecodeLimits, clean: Clean | None = None) -> None:
        self._store = store
        self._limits = limits
        self._clean = clean
        self._lock = Lock()
        self._child: ChildProcess | None = None

    def warm(self) -> None:
        """Start the child before the first upload needs it."""
        with self._lock:
            self._child = self._child or ChildProcess(_MODULE)

    def close(self) -> None:
        """End the child process."""
        with self._lock:
            self._replace(None)

    def unpack(self, source: Path, blob: StoredBlob) -> Unpacked:
        """List the scans of an upload, and keep the files of an archive as blobs of their own.

        Args:
            source: the upload, on a local disk.
            blob: the upload as it is kept.

        Raises:
            DecodeError: the upload is of no known format, or cannot be listed.
        """
        form = sniff_format(read_head(source, self._limits))
        if self._clean is not None and form != "zip":
            clean = self._store.write(self._clean(source, blob.size_bytes))
            return Unpacked((UnpackedScan((UnpackedFile(clean, "", Identity()),)),))
        if form not in _HEADED:
            return Unpacked((UnpackedScan((UnpackedFile(blob, "", Identity()),)),))
        left_out: list[LeftOut] = []
        with self._lock:
            scans: dict[int, list[UnpackedFile]] = {}
            for number, file in self._list_files(source, blob, left_out):
                scans.setdefault(number, []).append(file)
        if not scans:
            raise NoPixels("the archive holds no scan") if not self._clean else NotDeidentifiable
        kept = [_drop_copies(files, left_out) for _, files in sorted(scans.items())]
        return Unpacked(tuple(UnpackedScan(files) for files in kept), tuple(left_out))

    def _list_files(
        self, source: Path, blob: StoredBlob, left_out: list[LeftOut]
    ) -> Iterator[tuple[int, UnpackedFile]]:
        child = self._child or ChildProcess(_MODULE)
        self._child = child
        is_done = False
        try:
            child.await_ready()
            deadline = time.monotonic() + self._limits.series_timeout_s
            limits = tighten_limits(self._limits, blob.size_bytes)
            request = UnpackRequest(path=str(source.absolute()), limits=limits)
            child.send([frame_header(request)], deadline)
            while (answer := _receive(child, deadline)).kind in {"file", "passed_over"}:
                if answer.kind == "passed_over":
                    left_out.append(LeftOut(answer.label, None, NOT_A_SCAN))
                    continue
                file = self._take(child, answer, blob, deadline)
                if isinstance(file, LeftOut):
                    left_out.append(file)
                else:
                    yield answer.scan, file
            is_done = True
            if answer.kind == "refused":
                raise find_error(answer.error, answer.message)
        finally:
            if not is_done or child.is_spent:
                self._replace(ChildProcess(_MODULE))

    def _take(
        self, child: ChildProcess, answer: UnpackAnswer, blob: StoredBlob, deadline: float
    ) -> UnpackedFile | LeftOut:
        """Keep a file of an archive; one that cannot be cleaned where it must be is left out."""
        if not answer.has_bytes:
            return UnpackedFile(blob, answer.label, answer.identity)
        if answer.size_bytes > self._limits.max_inflated_bytes:
            raise TooManyBytes
        left = answer.size_bytes
        with self._store.draft() as draft:
            while left:
                chunk = child.receive(min(left, CHUNK_BYTES), deadline)
                draft.write(chunk.tobytes())
                left -= len(chunk)
            if self._clean is None:
                return UnpackedFile(draft.keep(), answer.label, answer.identity)
            try:
                content = self._clean(draft.flush(), draft.size_bytes)
            except (DecodeError, ObjectRefused) as error:
                return LeftOut(answer.label, None, error.code)
        return UnpackedFile(self._store.write(content), answer.label, Identity())

    def _replace(self, child: ChildProcess | None) -> None:
        if self._child is not None:
            self._child.end()
        self._child = child


def tighten_limits(limits: DecodeLimits, size_bytes: int) -> DecodeLimits:
    """Let an upload inflate by a factor that pictures never reach, so that bombs end early."""
    allowed = max(_FREE_BYTES, _MOST_INFLATION * size_bytes)
    return limits.model_copy(update={"max_inflated_bytes": min(limits.max_inflated_bytes, allowed)})


def _receive(child: ChildProcess, deadline: float) -> UnpackAnswer:
    try:
        return UnpackAnswer.model_validate_json(child.receive_text(deadline))
    except ValidationError:
        child.is_spent = True
        raise CorruptScan("the upload cannot be listed") from None


def _drop_copies(
    files: Sequence[UnpackedFile], left_out: list[LeftOut]
) -> tuple[UnpackedFile, ...]:
    """Leave out files that are in a scan twice."""
    kept: dict[str, UnpackedFile] = {}
    for file in files:
        if file.blob.sha256 in kept:
            left_out.append(LeftOut(file.label, file.blob.sha256, DUPLICATE_FILE))
        else:
            kept[file.blob.sha256] = file
    return tuple(kept.values())
