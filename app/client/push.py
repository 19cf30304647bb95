"""Parcels to the service over several connections; what one of them meets stops no other."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial

from app.client.client import AegleClient
from app.client.errors import FileChanged, Halted
from app.client.journal import Journal, mark_files
from app.client.parcels import Parcel
from app.client.upload import Upload
from app.errors import CaseNotFound, ConflictError, RequestError, ServiceError
from app.intake.schemas import Receipt, UploadFields
from models.errors import AegleError, DecodeError, NoPixels, UnscorableScan

_WAIT_S = 2.0
# What is wrong with one scan; everything else would meet the next one too.
_OF_ONE_SCAN = (DecodeError, UnscorableScan, RequestError, ConflictError, FileChanged, OSError)


@dataclass(frozen=True, slots=True)
class PushOrder:
    """How parcels are sent: with which fields, over how many connections, waiting for verdicts."""

    connections: int
    waits: bool
    fields: UploadFields = field(default_factory=UploadFields)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one parcel: a receipt, or what was wrong with it.

    `was_sent` is false where an earlier push got the receipt already.
    """

    parcel: Parcel
    receipt: Receipt | None
    error: AegleError | OSError | None
    was_sent: bool


class Push:
    """Sends parcels, remembers what was acknowledged."""

    def __init__(
        self,
        client: AegleClient,
        journal: Journal,
        order: PushOrder,
        tell_bytes: Callable[[Parcel, int], None],
    ) -> None:
        self._client = client
        self._journal = journal
        self._order = order
        self._tell_bytes = tell_bytes
        self._reason: AegleError | None = None

    def run(self, parcels: Iterator[Parcel]) -> Generator[Delivery]:
        """Send all parcels; give what came of each as soon as it is known.

        Raises:
            AegleError: no further parcel can be sent; what was acknowledged is in the journal.
        """
        running: set[Future[Delivery]] = set()
        pool = ThreadPoolExecutor(self._order.connections, thread_name_prefix="push")
        try:
            for parcel in parcels:
                running.add(pool.submit(self._try, parcel))
                if len(running) > 2 * self._order.connections:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        except Halted as error:
            raise self._reason or error from None
        except BaseException:
            self._client.halt()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _try(self, parcel: Parcel) -> Delivery:
        """Deliver; what the other scans would meet too ends them all, and is the reason told."""
        try:
            return self._deliver(parcel)
        except AegleError as error:
            self._reason = self._reason or error
            self._client.halt()
            raise

    def _deliver(self, parcel: Parcel) -> Delivery:
        try:
            if parcel.files[0].is_dir():
                raise NoPixels("there is no scan in here")
            mark = mark_files(parcel.files)
            receipt = self._find_receipt(mark)
            was_sent = receipt is None
            if receipt is None:
                receipt = self._send(parcel, mark)
            if self._order.waits and not receipt.is_done:
                receipt = self._client.await_receipt(receipt.upload_id)
        except _OF_ONE_SCAN as error:
            return Delivery(parcel, None, error, was_sent=True)
        except ServiceError as error:
            # A bug met one scan; children of this class tell of the whole service.
            if type(error) is not ServiceError:
                raise
            return Delivery(parcel, None, error, was_sent=True)
        return Delivery(parcel, receipt, None, was_sent=was_sent)

    def _find_receipt(self, mark: str) -> Receipt | None:
        """Ask for the receipt of an earlier push; None where the service does not know it now."""
        upload_id = self._journal.find(mark)
        if upload_id is None:
            return None
        try:
            return self._client.fetch_receipt(upload_id)
        except CaseNotFound:
            return None

    def _send(self, parcel: Parcel, mark: str) -> Receipt:
        upload = Upload(parcel.files, self._order.fields)
        wait_s = _WAIT_S if self._order.waits else 0.0
        tell = partial(self._tell_bytes, parcel)
        receipt = self._client.send_scan(upload, wait_s=wait_s, tell_bytes=tell)
        self._journal.note(mark, receipt.upload_id)
        return receipt
