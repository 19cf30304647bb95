"""The bounded child process: reads requests, decodes, answers. Started by `BoundedDecoder`."""

import logging
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from models.decoding.archive import ZipPart
from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.decoding.part import Part
from models.decoding.scan import DecodedScan
from models.decoding.series import decode_series
from models.decoding.wire import (
    LENGTH,
    AnswerHeader,
    PartHeader,
    RequestHeader,
    describe_scan,
    frame_header,
)
from models.errors import DecodeError, MemoryExceeded
from models.memory import keep_freed_memory

_CPU_GRACE_S = 5
_MAX_OPEN_FILES = 64


def main() -> None:
    """Serve requests until the parent closes the pipe."""
    logging.disable()
    keep_freed_memory()
    source = sys.stdin.buffer
    # Codecs written in C print to standard output: it must not reach the parent.
    with os.fdopen(os.dup(1), "wb") as answers, Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        confine()
        base = read_status("VmSize")
        answers.write(frame_header(AnswerHeader(kind="ready")))
        answers.flush()
        while length := source.read(LENGTH.size):
            request = RequestHeader.model_validate_json(source.read(*LENGTH.unpack(length)))
            limit_request(request.limits, base)
            goes_on = _answer(request, source, answers)
            answers.flush()
            if not goes_on:
                break


def confine() -> None:
    """Forbid what decoding never needs: to write files, to open many, to leave a core dump."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MAX_OPEN_FILES, _MAX_OPEN_FILES))


def limit_request(limits: DecodeLimits, base: int) -> None:
    """Bound memory by what the bare process took and the limit; and CPU time by the timeout."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    memory = base + limits.max_memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (memory if hard < 0 else min(memory, hard), hard))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    timeout = max(limits.timeout_s, limits.series_timeout_s)
    seconds = int(usage.ru_utime + usage.ru_stime + timeout) + _CPU_GRACE_S
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if hard < 0 else min(seconds, hard), hard))


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


def read_status(field: str) -> int:
    """Give a size in bytes from the kernel's record of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
