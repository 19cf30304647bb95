"""From settings to an engine and a scoring line that are not started yet."""

from datetime import timedelta

from app.analysis.decoders import Decoders
from app.analysis.detection import open_device
from app.analysis.engine import Engine
from app.analysis.scan_queue import BatchLimits
from app.analysis.tasks import LineLimits, ScoringLine
from app.clock import Clock
from app.settings import Settings
from app.storage.opening import Storage
from models.decoding.limits import DecodeLimits

# How long cases of a process that died wait for another; renewed four times meanwhile.
_LEASE = timedelta(seconds=8)

_UNREAD_SHARE = 0.5


def open_line(settings: Settings, storage: Storage, clock: Clock) -> ScoringLine:
    """Put decoders, engine and line together; the device is opened with the first bundle.

    Raises:
        UnavailableDevice: a GPU was asked for and there is none.
    """
    name = settings.device
    device = open_device(name) if name == "cuda" else None
    limits = BatchLimits(
        max_scans=settings.batch_scans,
        max_slices=settings.batch_slices,
        wait_s=settings.batch_wait_ms / 1000.0,
        max_waiting_px=settings.queue_pixels,
    )
    return ScoringLine(
        storage,
        Engine(lambda: device or open_device(name), limits),
        Decoders(list_limits(settings), settings.decoders),
        clock,
        LineLimits(settings.queue_scans, settings.max_attempts, _LEASE),
    )


def list_limits(settings: Settings) -> DecodeLimits:
    """Give the bounds of decoding: an upload may be as large as the service takes.

    A series with some broken files is looked at all the same, and is never typical.
    """
    return DecodeLimits(max_bytes=settings.max_upload_bytes, max_unread_share=_UNREAD_SHARE)
