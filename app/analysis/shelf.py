"""Decoded scans that viewers ask for again and again, kept while they are few enough."""

from collections import OrderedDict
from threading import Lock
from uuid import UUID

from app.analysis.decoders import Decoders, find_case_files
from app.cases.repository import CaseRepository
from app.storage.opening import Storage
from models.decoding.scan import DecodedScan


class ScanShelf:
    """The scans looked at last, up to so many pixels."""

    def __init__(self, storage: Storage, decoders: Decoders, max_px: int) -> None:
        self._storage = storage
        self._decoders = decoders
        self._max_px = max_px
        self._scans: OrderedDict[UUID, DecodedScan] = OrderedDict()
        self._lock = Lock()
        self._turns: dict[UUID, Lock] = {}

    def find(self, case_id: UUID) -> DecodedScan:
        """Give the scan of a case.

        Raises:
            CaseNotFound: there is no such case.
            DecodeError: its files give no scan.
        """
        with self._storage.database.reading() as session:
            CaseRepository(session).get_case(case_id)
        return self._take(case_id) or self._decode(case_id)

    def _take(self, case_id: UUID) -> DecodedScan | None:
        with self._lock:
            found = self._scans.get(case_id)
            if found is not None:
                self._scans.move_to_end(case_id)
            return found

    def _decode(self, case_id: UUID) -> DecodedScan:
        """Decode once, however many pictures of one page are asked for at the same time."""
        with self._lock:
            turn = self._turns.setdefault(case_id, Lock())
        try:
            with turn:
                found = self._take(case_id)
                if found is not None:
                    return found
                scan = self._decoders.decode(find_case_files(self._storage, case_id).files)
                self._keep(case_id, scan)
                return scan
        finally:
            with self._lock:
                self._turns.pop(case_id, None)

    def _keep(self, case_id: UUID, scan: DecodedScan) -> None:
        if scan.pixels.size > self._max_px:
            return
        with self._lock:
            self._scans[case_id] = scan
            while sum(kept.pixels.size for kept in self._scans.values()) > self._max_px:
                self._scans.popitem(last=False)
