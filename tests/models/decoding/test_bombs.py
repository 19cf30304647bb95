"""Files that ask for more than they hold: each is refused by name, quickly, in little memory."""

import struct
import time
from collections.abc import Iterator

import imagecodecs
import pytest
from pydicom.uid import RLELossless

from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.decoding.worker import BoundedDecoder
from tests.builders.bombs import BOMBS, MEBI
from tests.builders.dicom import build_encoded

LIMITS = DecodeLimits(max_inflated_bytes=64 * MEBI)


@pytest.fixture(scope="module")
def decoder() -> Iterator[BoundedDecoder]:
    with BoundedDecoder(LIMITS) as running:
        yield running


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_by_name(name: str) -> None:
    content, error = BOMBS[name]

    with pytest.raises(error):
        decode_scan(content, LIMITS)


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_does_not_hurt_the_bounded_child(decoder: BoundedDecoder, name: str) -> None:
    content, error = BOMBS[name]

    started = time.monotonic()
    with pytest.raises(error):
        decoder.decode(content)
    seconds = time.monotonic() - started

    assert seconds < 5
    assert decoder.last_cost.peak_bytes < 512 * MEBI


def test_rle_runs_over_the_end_of_the_frame_are_left_out() -> None:
    plane = bytes(48)
    segments = imagecodecs.packbits_encode(plane + b"more"), imagecodecs.packbits_encode(plane)
    header = struct.pack("<16L", 2, 64, 64 + len(segments[0]), *[0] * 13)

    scan = decode_scan(build_encoded([header + b"".join(segments)], RLELossless), LIMITS)

    assert scan.pixels.shape == (1, 8, 6)
    assert not scan.pixels.any()
