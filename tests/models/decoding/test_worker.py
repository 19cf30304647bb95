"""The bounded child: same pixels as without it, and no harm from what it decodes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.decoding.child_process import ChildProcess
from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.decoding.series import find_scans
from models.decoding.wire import RequestHeader, frame_header
from models.decoding.worker import BoundedDecoder
from models.errors import (
    CorruptScan,
    DecodeTimeout,
    MemoryExceeded,
    TooManyBytes,
    UnknownFormat,
)
from tests.builders.dicom import build_dicom, build_slice, make_ramp, read_bundled
from tests.builders.pictures import build_zip, encode_picture

LIMITS = DecodeLimits()
SCAN = build_dicom(
    make_ramp(frames=3), PixelPaddingValue=0, WindowCenter=[40, 50], WindowWidth=[80, 90]
)


@pytest.fixture(scope="module")
def decoder() -> Iterator[BoundedDecoder]:
    with BoundedDecoder(LIMITS) as running:
        yield running


def _find_child(decoder: BoundedDecoder) -> int:
    assert decoder._child is not None
    return decoder._child.process_id


@pytest.mark.parametrize(
    "content",
    [
        SCAN,
        build_slice(12.5, 7),
        read_bundled("MR_small_RLE.dcm"),
        encode_picture(np.eye(9, dtype=np.uint8) * 200, "PNG"),
    ],
)
def test_the_child_gives_what_decoding_gives(decoder: BoundedDecoder, content: bytes) -> None:
    expected = decode_scan(content, LIMITS)

    found = decoder.decode(content)

    np.testing.assert_array_equal(found.pixels, expected.pixels)
    np.testing.assert_equal(found.padding, expected.padding)
    for name in ("sha256", "placement", "voi_windows", "notes", "spacing_mm", "bit_depth"):
        assert getattr(found, name) == getattr(expected, name)


def test_paths_bytes_and_zip_entries_may_be_mixed_in_a_series(
    decoder: BoundedDecoder, tmp_path: Path
) -> None:
    (tmp_path / "a.dcm").write_bytes(build_slice(2, 2))
    archive = build_zip({"c.dcm": build_slice(3, 3)})
    (packed,) = find_scans(archive, LIMITS)

    scan = decoder.decode([tmp_path / "a.dcm", *packed.parts, build_slice(1, 1)])

    assert scan.pixels[:, 0, 0].tolist() == [1, 2, 3]


def test_a_folder_and_a_zip_of_one_series_are_the_same_scan(
    decoder: BoundedDecoder, tmp_path: Path
) -> None:
    slices = {f"{n}.dcm": build_slice(n, n) for n in range(3)}
    for name, content in slices.items():
        (tmp_path / name).write_bytes(content)

    folder, archive = decoder.decode(tmp_path), decoder.decode(build_zip(slices))

    assert folder.sha256 == archive.sha256
    np.testing.assert_array_equal(folder.pixels, archive.pixels)


def test_errors_keep_their_name_and_message(decoder: BoundedDecoder) -> None:
    with pytest.raises(UnknownFormat, match="found 5 bytes"):
        decoder.decode(b"hello")


def test_an_empty_series_is_refused(decoder: BoundedDecoder) -> None:
    with pytest.raises(CorruptScan):
        decoder.decode([])


def test_too_many_bytes_are_refused_before_they_are_sent() -> None:
    with BoundedDecoder(DecodeLimits(max_bytes=100)) as small, pytest.raises(TooManyBytes):
        small.decode(SCAN)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSEGV])
def test_a_dead_child_is_replaced(decoder: BoundedDecoder, fault: signal.Signals) -> None:
    decoder.decode(SCAN)
    os.kill(_find_child(decoder), fault)
    with pytest.raises((CorruptScan, MemoryExceeded)):
        decoder.decode(SCAN)

    scan = decoder.decode(SCAN)

    assert scan.slice_count == 3


def test_a_child_that_hangs_is_killed_in_time() -> None:
    with BoundedDecoder(DecodeLimits(timeout_s=0.3)) as decoder:
        decoder.decode(SCAN)
        hanging = _find_child(decoder)
        os.kill(hanging, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(DecodeTimeout):
            decoder.decode(SCAN)

        assert time.monotonic() - started < 2
        with pytest.raises(ProcessLookupError):
            os.kill(hanging, 0)
        assert decoder.decode(SCAN).slice_count == 3


def test_memory_over_the_limit_is_refused_and_the_next_scan_decoded() -> None:
    picture = encode_picture(np.zeros((4000, 4000), np.uint8), "BMP")
    with BoundedDecoder(DecodeLimits(max_memory_bytes=48 * 2**20)) as decoder:
        with pytest.raises(MemoryExceeded):
            decoder.decode(picture)

        assert decoder.decode(SCAN).slice_count == 3


def test_a_child_without_memory_for_its_refusal_is_told_from_one_that_crashed() -> None:
    child = ChildProcess("tests.fakes.starved_child")
    try:
        child.await_ready()
        request = RequestHeader(is_series=False, parts=(), blob_bytes=(), limits=LIMITS)
        child.send([frame_header(request)], time.monotonic() + 60)
        with pytest.raises(MemoryExceeded):
            child.receive_header(time.monotonic() + 60)
    finally:
        child.end()


def test_threads_may_share_a_decoder(decoder: BoundedDecoder) -> None:
    contents = [build_slice(0, value) for value in range(8)]
    found = [0.0] * len(contents)

    def decode(index: int) -> None:
        found[index] = float(decoder.decode(contents[index]).pixels[0, 0, 0])

    threads = [threading.Thread(target=decode, args=(index,)) for index in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == list(range(8))


def test_a_closed_decoder_leaves_no_process_behind() -> None:
    decoder = BoundedDecoder(LIMITS)
    decoder.decode(SCAN)
    child = _find_child(decoder)

    decoder.close()

    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_the_child_needs_no_torch_and_sees_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGLE_SECRET", "canary")
    with BoundedDecoder(LIMITS) as fresh:
        fresh.decode(SCAN)
        child = Path(f"/proc/{_find_child(fresh)}")

        assert b"canary" not in (child / "environ").read_bytes()
        assert "torch" not in (child / "maps").read_text()


def test_decoding_works_from_a_script_without_a_main_guard(tmp_path: Path) -> None:
    (tmp_path / "scan.dcm").write_bytes(SCAN)
    (tmp_path / "dl").mkdir()
    script = (
        "from pathlib import Path\n"
        "from models.decoding.limits import DecodeLimits\n"
        "from models.decoding.worker import BoundedDecoder\n"
        "decoder = BoundedDecoder(DecodeLimits())\n"
        "scan = decoder.decode(Path('scan.dcm'))\n"
        "decoder.close()\n"
        "raise SystemExit(scan.slice_count)\n"
    )
    root = str(Path(__file__).parents[3])

    # -P: a folder named dl breaks pydicom in the parent, which is not what is tested here.
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        check=False,
    )

    assert done.returncode == 3
