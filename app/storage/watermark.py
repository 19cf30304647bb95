"""The disk watermark: under it nothing new is taken in, and reading goes on."""

import shutil
from collections.abc import Callable
from pathlib import Path

from app.errors import BlobStoreUnavailable, StorageFull


class Watermark:
    """How much room must stay free on every disk that uploads write to."""

    def __init__(self, measures: tuple[Callable[[], int | None], ...], min_free_bytes: int) -> None:
        self.measures = measures
        self.min_free_bytes = min_free_bytes

    def check(self, needed_bytes: int = 0) -> None:
        """Let an upload begin.

        Raises:
            StorageFull: less than the watermark would be left on some disk.
        """
        for measure in self.measures:
            free = measure()
            if free is not None and free - needed_bytes < self.min_free_bytes:
                raise StorageFull


def measure_folder(folder: Path) -> int:
    """Tell how much room the disk of a folder has for us.

    Raises:
        BlobStoreUnavailable: the folder is not there, or does not answer.
    """
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        raise BlobStoreUnavailable from error
