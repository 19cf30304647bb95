"""Where the parts of a STOW message are taken in, one after the other, each with its receipt."""

from starlette.concurrency import run_in_threadpool

from app.dicom.drafts import ObjectDraft
from app.dicom.indexing import Delivery
from app.dicom.receipts import ObjectReceipt, describe_failure
from app.dicom.receiving import Receiver
from app.dicom.stow_body import DICOM, Event, Step
from app.errors import CutObject, UnsupportedPart
from app.storage.blobs import CHUNK_BYTES
from models.errors import AegleError

MAX_PARTS = 10_000


class StowDesk:
    """Takes events of a message; leaving the block throws a part away that is not whole."""

    def __init__(self, receiver: Receiver, delivery: Delivery) -> None:
        self.receipts: list[ObjectReceipt] = []
        self.has_bytes = False
        self._receiver = receiver
        self._delivery = delivery
        self.is_open = False
        self._draft: ObjectDraft | None = None
        self._refusal: AegleError | None = None
        self._held: list[bytes] = []
        self._held_bytes = 0

    async def take(self, event: Event) -> None:
        """Take the next step of the message."""
        if event.step is Step.BEGIN:
            self._begin(event.content)
        elif event.step is Step.CONTENT:
            await self._add(event.content)
        elif event.step is Step.END:
            self.receipts.append(await run_in_threadpool(self._receive))

    def finish(self, *, is_whole: bool) -> None:
        """Refuse what the end of the body has cut, be it a part or what should have followed."""
        if self.is_open or (self.receipts and not is_whole):
            self._refusal = CutObject()
            self.receipts.append(self._refuse())

    def discard(self) -> None:
        """Throw the part away that is on its way."""
        if self._draft is not None:
            self._draft.__exit__(None, None, None)
            self._draft = None

    def _begin(self, media_type: bytes) -> None:
        self.is_open = True
        self._refusal = None
        if media_type not in {b"", DICOM}:
            self._refusal = UnsupportedPart()
        if len(self.receipts) >= MAX_PARTS:
            self._refusal = UnsupportedPart(f"a message takes {MAX_PARTS} parts")

    async def _add(self, content: bytes) -> None:
        if self._refusal is not None:
            return
        self._held.append(content)
        self._held_bytes += len(content)
        if self._held_bytes >= CHUNK_BYTES:
            await run_in_threadpool(self._write)

    def _receive(self) -> ObjectReceipt:
        if self._refusal is None:
            self._write()
        if self._draft is None or self._refusal is not None:
            return self._refuse()
        receipt = self._receiver.receive(self._draft, self._delivery)
        self._close()
        return receipt

    def _write(self) -> None:
        try:
            if self._draft is None:
                if self.receipts:  # room for the first was asked for with that for the message
                    self._receiver.storage.watermark.check(self._held_bytes)
                self._draft = self._receiver.draft()
            self._draft.write(b"".join(self._held))
        except AegleError as error:
            self._refusal = error
        self._drop()

    def _drop(self) -> None:
        self._held.clear()
        self._held_bytes = 0

    def _refuse(self) -> ObjectReceipt:
        failure = describe_failure(self._refusal or CutObject())
        self._close()
        return ObjectReceipt(failure=failure)

    def _close(self) -> None:
        self.discard()
        self._drop()
        self.is_open = False
