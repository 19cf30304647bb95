"""How much a scan may ask for before it is refused."""

from typing import Annotated

from pydantic import Field

from models.specs import Spec

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0.0)]

MEBI = 2**20


class DecodeLimits(Spec):
    """Bounds of one scan; the defaults let a thousand slices of CT or one mammogram pass.

    `max_bytes` holds for what is handed in, all files of a series together; `max_inflated_bytes`
    for what archives, deflated data sets and gzip grow to. `max_pixels` counts all slices,
    `max_slice_pixels` one. `max_depth` bounds nested sequences, `max_archive_depth` zips in zips.
    `max_unread_share` of a series' files may give no slice; the scan tells of them.
    `timeout_s`, `series_timeout_s` (several files, a folder, a zip) and `max_memory_bytes` are
    enforced by the bounded child process alone.
    """

    max_bytes: Count = 2048 * MEBI
    max_inflated_bytes: Count = 2048 * MEBI
    max_inflation_ratio: Count = 200
    max_pixels: Count = 256 * MEBI
    max_slice_pixels: Count = 64 * MEBI
    max_frames: Count = 4096
    max_files: Count = 10_000
    max_depth: Count = 16
    max_archive_depth: Count = 2
    max_unread_share: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    timeout_s: Seconds = 10.0
    series_timeout_s: Seconds = 60.0
    max_memory_bytes: Count = 4096 * MEBI
