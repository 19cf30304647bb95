"""Results into the index, by the one way that objects come in."""

from app.auth.permissions import Principal
from app.cases.states import Channel
from app.dicom.errors import NothingToTell
from app.dicom.indexing import Delivery
from app.dicom.receiving import Receiver
from app.errors import StorageError

OURSELVES = Principal("engine", "Aegle", frozenset())


def keep_result(receiver: Receiver, content: bytes) -> None:
    """Keep an object of ours; one that is there already stays as it is.

    Raises:
        StorageError: it cannot be kept at the moment.
        NothingToTell: the index will not have it: its study or its UIDs are malformed.
    """
    with receiver.draft() as draft:
        draft.write(content)
        receipt = receiver.receive(draft, Delivery(OURSELVES, Channel.DICOMWEB, is_ours=True))
    failure = receipt.failure
    if failure is None or failure.code == "duplicate_object":
        return
    if failure.reason >> 8 == 0xA7:
        raise StorageError(failure.message)
    raise NothingToTell(failure.message)
