"""The bounded child process: reads requests, decodes, answers. Started by `BoundedDecoder`."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from models.decoding.archive import ZipPart
from models.decoding.bounded_loop import read_status, serve_requests
from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.decoding.part import Part
from models.decoding.scan import DecodedScan
from models.decoding.series import decode_series
from models.decoding.wire import (
    AnswerHeader,
    PartHeader,
    RequestHeader,
    describe_scan,
    frame_header,
)
from models.errors import DecodeError, MemoryExceeded
from models.memory import keep_freed_memory


def main() -> None:
    """Serve requests until the parent closes the pipe."""
    keep_freed_memory()
    serve_requests(RequestHeader, _answer)


def _answer(request: RequestHeader, source: BinaryIO, answers: BinaryIO) -> bool:
    """Answer one request, and tell whether this process is fit for another."""
    _forget_peak()
    try:
        parts = _receive_parts(request, source)
        scan = _decode(parts, request.limits, is_series=request.is_series)
    except MemoryError:
        # What is left of this request in the pipe would be taken for the next one.
        _refuse(MemoryExceeded(), answers)
        return False
    except DecodeError as error:
        _refuse(error, answers)
    else:
        _hand_over(scan, answers)
    return True


def _hand_over(scan: DecodedScan, answers: BinaryIO) -> None:
    header, peak = describe_scan(scan), read_status("VmHWM")
    answers.write(frame_header(AnswerHeader(kind="scan", scan=header, peak_bytes=peak)))
    answers.write(np.ascontiguousarray(scan.pixels).data)
    if scan.padding is not None:
        answers.write(np.ascontiguousarray(scan.padding).data)


def _refuse(error: DecodeError, answers: BinaryIO) -> None:
    header = AnswerHeader(
        kind="refused", error=error.code, message=str(error), peak_bytes=read_status("VmHWM")
    )
    answers.write(frame_header(header))


def _receive_parts(request: RequestHeader, source: BinaryIO) -> list[Part]:
    blobs = [source.read(size) for size in request.blob_bytes]
    return [_find_part(header, blobs) for header in request.parts]


def _find_part(header: PartHeader, blobs: Sequence[bytes]) -> Part:
    home = Path(header.path or "") if header.blob is None else blobs[header.blob]
    if header.entry is None:
        return home
    return ZipPart(home, header.entry, header.entry_bytes)


def _decode(parts: list[Part], limits: DecodeLimits, *, is_series: bool) -> DecodedScan:
    if is_series or isinstance(parts[0], ZipPart):
        return decode_series(parts, limits)
    return decode_scan(parts[0], limits)


def _forget_peak() -> None:
    """Start the kernel's record of peak memory anew (proc(5), clear_refs)."""
    with Path("/proc/self/clear_refs").open("w") as stream:
        stream.write("5")


if __name__ == "__main__":
    main()
