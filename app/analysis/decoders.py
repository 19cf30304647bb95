"""Bounded decoders: several child processes, each lent to one scan at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from uuid import UUID

from app.cases.repository import CaseRepository
from app.storage.opening import Storage
from models.decoding.limits import DecodeLimits
from models.decoding.scan import DecodedScan
from models.decoding.worker import BoundedDecoder


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """The files of a case in the order of its slices, and the edition of the case they make."""

    edition: int
    files: Sequence[Path | bytes]


class Decoders:
    """A pool of decoders; a caller waits until one is free. None runs before `start`."""

    def __init__(self, limits: DecodeLimits, count: int) -> None:
        self.count = count
        self._limits = limits
        self._starting = Lock()
        self._all: list[BoundedDecoder] = []
        self._free: SimpleQueue[BoundedDecoder] = SimpleQueue()

    def start(self) -> None:
        """Start the child processes that are not there yet."""
        with self._starting:
            while len(self._all) < self.count:
                decoder = BoundedDecoder(self._limits)
                self._all.append(decoder)
                self._free.put(decoder)

    @contextmanager
    def lend(self) -> Iterator[BoundedDecoder]:
        """Lend a decoder for as long as the block lasts."""
        decoder = self._free.get()
        try:
            yield decoder
        finally:
            self._free.put(decoder)

    def decode(self, files: Sequence[Path | bytes]) -> DecodedScan:
        """Decode the files of one scan.

        Raises:
            DecodeError: they give no scan.
        """
        with self.lend() as decoder:
            return decode_files(decoder, files)

    def close(self) -> None:
        """End the child processes."""
        for decoder in self._all:
            decoder.close()


def find_case_files(storage: Storage, case_id: UUID) -> CaseFiles:
    """Give the stored files of a case.

    Raises:
        CaseNotFound: there is no such case.
        StorageError: they cannot be read at the moment.
    """
    with storage.database.reading() as session:
        edition = CaseRepository(session).get_case(case_id).edition
        names = [row.sha256 for row in CaseRepository(session).list_instances(case_id)]
    store = storage.blobs
    return CaseFiles(edition, [store.find_path(name) or store.read(name) for name in names])


def decode_files(decoder: BoundedDecoder, files: Sequence[Path | bytes]) -> DecodedScan:
    """Decode one file as it is, or several as the slices of one volume.

    Raises:
        DecodeError: they give no scan.
    """
    return decoder.decode(files[0] if len(files) == 1 else list(files))
