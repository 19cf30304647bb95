"""`aegle listen` in a process of its own, beside a service or alone."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CALLER = "CT1"
_START_S = 60.0


class ListenerProcess:
    """A listener on a data folder; started, killed and started again on the same port."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        self.port = _find_port()
        values = {
            "data_folder": folder,
            "dicom_port": self.port,
            "dicom_callers": f'["{CALLER}"]',
            "min_free_bytes": 0,
            "decoders": 1,
            "log_level": "warning",
        }
        changed = {
            f"AEGLE_{name.upper()}": str(value) for name, value in (values | changes).items()
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AEGLE_")}
        self._environment = kept | changed
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start the process and wait until it takes associations."""
        with (self.folder / "listener.jsonl").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "listen"],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise TimeoutError((self.folder / "listener.jsonl").read_text()[-2000:])

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> int:
        """Ask it to end, and give its status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(60)


def _find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
