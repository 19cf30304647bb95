"""One bounded child process and the pipes to it; no wait on it is without a deadline."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

import models.errors
from models.decoding.bounded_loop import MEMORY_STATUS
from models.decoding.wire import LENGTH, MAX_HEADER_BYTES, AnswerHeader
from models.errors import CorruptScan, DecodeTimeout, MemoryExceeded

_START_TIMEOUT_S = 120.0
# The largest pipe that Linux grants everybody; each fill of it costs a change of process.
_PIPE_BYTES = 1 << 20
_SOURCE_ROOT = str(Path(models.errors.__file__).parents[1])
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")
_SINGLE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


class ChildProcess:
    """A process that runs a module such as `worker_main`; not safe to share between threads."""

    def __init__(self, module: str = "models.decoding.worker_main") -> None:
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        paths = [_SOURCE_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
        # -P keeps the working directory out of the child's import path.
        self._process = subprocess.Popen(  # noqa: S603 - runs this Python with a module of ours
            [sys.executable, "-P", "-B", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**environment, **_SINGLE_THREAD, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,
            bufsize=0,
            pipesize=_PIPE_BYTES,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise CorruptScan("the decoder has no pipes")
        self._input = self._process.stdin.fileno()
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)
        self._is_ready = False
        self.is_spent = False

    @property
    def process_id(self) -> int:
        """Of the child."""
        return self._process.pid

    def await_ready(self) -> None:
        """Wait until the child has imported its decoders.

        Raises:
            DecodeTimeout: it has not within two minutes.
        """
        if not self._is_ready:
            self.receive_header(time.monotonic() + _START_TIMEOUT_S)
            self._is_ready = True

    def send(self, messages: Sequence[bytes], deadline: float) -> None:
        """Write all messages, or as many as a child takes that refuses before it read them all.

        Raises:
            DecodeTimeout: it does not read.
        """
        for message in messages:
            rest = memoryview(message)
            while rest:
                self._wait(self._input, select.POLLOUT, deadline)
                try:
                    rest = rest[os.write(self._input, rest[:_PIPE_BYTES]) :]
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    # Its answer, or its death, is told by what is read next.
                    return

    def receive_header(self, deadline: float) -> AnswerHeader:
        """Read the header of an answer.

        Raises:
            DecodeTimeout: nothing came in time.
            CorruptScan: the child died, or does not talk as agreed.
        """
        try:
            return AnswerHeader.model_validate_json(self.receive_text(deadline))
        except ValidationError as error:
            raise CorruptScan("the decoder gave an answer that is no answer") from error

    def receive_text(self, deadline: float) -> bytes:
        """Read the JSON of a header, behind its length.

        Raises:
            DecodeTimeout: nothing came in time.
            CorruptScan: the child died, or tells a length that no header has.
        """
        (length,) = LENGTH.unpack(self.receive(LENGTH.size, deadline).tobytes())
        if length > MAX_HEADER_BYTES:
            raise CorruptScan("the decoder gave an answer that is no answer")
        return self.receive(length, deadline).tobytes()

    def receive(self, count: int, deadline: float) -> NDArray[np.uint8]:
        """Read bytes.

        Returns:
            uint8 [count].
        """
        received = np.empty(count, dtype=np.uint8)
        rest = memoryview(received.data)
        while rest:
            self._wait(self._output, select.POLLIN, deadline)
            try:
                count = os.readv(self._output, [rest])
            except BlockingIOError:
                continue
            if not count:
                raise self._explain_death()
            rest = rest[count:]
        return received

    def end(self) -> None:
        """Kill the child, whatever it does, and close the pipes."""
        self.is_spent = True
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        """Wait until the pipe can be read or written, or is broken."""
        poll = select.poll()
        poll.register(pipe, event)
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not poll.poll(left_s * 1000):
            self.is_spent = True
            raise DecodeTimeout

    def _explain_death(self) -> CorruptScan | DecodeTimeout | MemoryExceeded:
        self.is_spent = True
        try:
            status = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return CorruptScan("the decoder closed its pipe")
        if status == -signal.SIGXCPU:
            return DecodeTimeout()
        if status == MEMORY_STATUS:
            return MemoryExceeded()
        if status == -signal.SIGKILL:
            return MemoryExceeded("the decoder was killed by the system")
        return CorruptScan(f"the decoder died of this scan (status {status})")
