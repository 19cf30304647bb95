"""What every bounded child process does: it confines itself, reads requests and answers them."""

import logging
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from models.decoding.limits import DecodeLimits
from models.decoding.wire import LENGTH, AnswerHeader, BoundedRequest, frame_header

# With this status a child ends that has no memory left even to refuse.
MEMORY_STATUS = 12
_CPU_GRACE_S = 5
_MAX_OPEN_FILES = 64

Request = TypeVar("Request", bound=BoundedRequest)


def serve_requests(
    kind: type[Request], answer: Callable[[Request, BinaryIO, BinaryIO], bool]
) -> None:
    """Answer requests until the parent closes the pipe.

    Args:
        kind: of the requests.
        answer: reads what follows a request, writes the answer, and tells whether this process is
            fit for another.
    """
    logging.disable()
    source = sys.stdin.buffer
    # Codecs written in C print to standard output: it must not reach the parent.
    with os.fdopen(os.dup(1), "wb") as answers, Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        _confine()
        base = read_status("VmSize")
        answers.write(frame_header(AnswerHeader(kind="ready")))
        answers.flush()
        try:
            while length := source.read(LENGTH.size):
                request = kind.model_validate_json(source.read(*LENGTH.unpack(length)))
                _limit_request(request.limits, base)
                goes_on = answer(request, source, answers)
                answers.flush()
                if not goes_on:
                    break
        except MemoryError:
            os._exit(MEMORY_STATUS)


def read_status(field: str) -> int:
    """Give a size in bytes from the kernel's record of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def _confine() -> None:
    """Forbid what decoding never needs: to write files, to open many, to leave a core dump."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MAX_OPEN_FILES, _MAX_OPEN_FILES))


def _limit_request(limits: DecodeLimits, base: int) -> None:
    """Bound memory by what the bare process took and the limit; and CPU time by the timeout."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    memory = base + limits.max_memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (memory if hard < 0 else min(memory, hard), hard))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    timeout = max(limits.timeout_s, limits.series_timeout_s)
    seconds = int(usage.ru_utime + usage.ru_stime + timeout) + _CPU_GRACE_S
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if hard < 0 else min(seconds, hard), hard))
