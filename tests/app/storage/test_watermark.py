import pytest

from app.errors import StorageFull
from app.storage.watermark import Watermark


@pytest.mark.parametrize(
    ("free", "needed", "is_full"),
    [(100, 0, False), (99, 0, True), (150, 50, False), (150, 51, True), (None, 10**9, False)],
)
def test_uploads_stop_below_the_watermark(free, needed, is_full):
    watermark = Watermark((lambda: free,), min_free_bytes=100)

    try:
        watermark.check(needed)
    except StorageFull:
        was_full = True
    else:
        was_full = False

    assert was_full is is_full


def test_the_fullest_disk_decides():
    watermark = Watermark((lambda: 10**9, lambda: 5), min_free_bytes=100)

    with pytest.raises(StorageFull):
        watermark.check()
