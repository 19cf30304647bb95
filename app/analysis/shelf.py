"""Decoded scans that viewers ask for again and again, kept while they are few enough."""

from collections import OrderedDict
from threading import Lock
from uuid import UUID

from app.analysis.decoders import Decoders, find_case_files
from app.cases.repository import CaseRepository
from app.storage.opening import Storage
from models.decoding.scan import DecodedScan

_Place = tuple[UUID, int]  # a case and the edition of its files


class ScanShelf:
    """The scans looked at last, up to so many pixels."""

    def __init__(self, storage: Storage, decoders: Decoders, max_px: int) -> None:
        self._storage = storage
        self._decoders = decoders
        self._max_px = max_px
        self._scans: OrderedDict[_Place, DecodedScan] = OrderedDict()
        self._lock = Lock()
        self._turns: dict[_Place, Lock] = {}

    def find(self, case_id: UUID) -> DecodedScan:
        """Give the scan of a case.

        Raises:
            CaseNotFound: there is no such case.
            DecodeError: its files give no scan.
        """
        with self._storage.database.reading() as session:
            place = (case_id, CaseRepository(session).get_case(case_id).edition)
        return self._take(place) or self._decode(place)

    def find_slice(self, case_id: UUID, file: int | None, index: int) -> tuple[DecodedScan, int]:
        """Give a scan that has a slice, and the slice's place in it, as quickly as may be.

        Args:
            case_id: which case.
            file: position of the file that holds this slice and no other; None where none does.
            index: which slice of the whole scan.

        Raises:
            CaseNotFound: there is no such case.
            DecodeError: its files give no scan.
        """
        if file is None:
            return self.find(case_id), index
        stored = find_case_files(self._storage, case_id)
        found = self._take((case_id, stored.edition))
        if found is not None:
            return found, index
        return self._decoders.decode([stored.files[file]]), 0

    def _take(self, place: _Place) -> DecodedScan | None:
        with self._lock:
            found = self._scans.get(place)
            if found is not None:
                self._scans.move_to_end(place)
            return found

    def _decode(self, place: _Place) -> DecodedScan:
        """Decode once, however many pictures of one page are asked for at the same time."""
        with self._lock:
            turn = self._turns.setdefault(place, Lock())
        try:
            with turn:
                found = self._take(place)
                if found is not None:
                    return found
                stored = find_case_files(self._storage, place[0])
                scan = self._decoders.decode(stored.files)
                self._keep((place[0], stored.edition), scan)
                return scan
        finally:
            with self._lock:
                self._turns.pop(place, None)

    def _keep(self, place: _Place, scan: DecodedScan) -> None:
        if scan.pixels.size > self._max_px:
            return
        with self._lock:
            self._scans[place] = scan
            while sum(kept.pixels.size for kept in self._scans.values()) > self._max_px:
                self._scans.popitem(last=False)
