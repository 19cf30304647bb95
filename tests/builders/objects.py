"""DICOM objects handed to the receiver of a service, as every way in does."""

from app.auth.permissions import Principal
from app.cases.states import Channel
from app.dicom.indexing import Delivery
from app.dicom.receipts import ObjectReceipt
from app.dicom.receiving import Receiver

MODALITY = Principal("aet:CT1", "CT1", frozenset())


def receive_object(
    receiver: Receiver, content: bytes, channel: Channel = Channel.DIMSE
) -> ObjectReceipt:
    """Hand in the file of an object, and give what became of it."""
    with receiver.draft() as draft:
        draft.write(content)
        return receiver.receive(draft, Delivery(MODALITY, channel))
