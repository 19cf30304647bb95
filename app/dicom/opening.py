"""From settings to what takes DICOM objects in; nothing is started yet."""

from app.clock import Clock
from app.dicom.crosswalk import Crosswalk
from app.dicom.deidentify import IntakeCleaner
from app.dicom.readers import HeaderReaders
from app.dicom.receiving import Receiver
from app.settings import Settings
from app.storage.opening import Storage
from models.decoding.limits import DecodeLimits


def open_receiver(settings: Settings, storage: Storage, clock: Clock) -> Receiver:
    """Put the receiver together; an object may be as large as an upload."""
    limits = DecodeLimits(max_bytes=settings.max_upload_bytes)
    readers = HeaderReaders(limits, settings.decoders)
    cleaner = None
    if settings.deidentify_intake:
        cleaner = IntakeCleaner(Crosswalk(storage.database, clock), limits)
    return Receiver(storage, readers, clock, settings.dicom_quiet_s, cleaner)
