"""A service in a process of its own, on a free port, that can be killed at any moment."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from app.auth.permissions import ROLES, Role
from app.auth.service import KeyOrder, create_key
from app.clock import SystemClock
from app.settings import Settings
from app.storage.opening import open_storage

START_S = 120.0


class ServiceProcess:
    """`aegle serve` on a data folder; started, killed and started again."""

    def __init__(self, folder: Path, bundle: Path | None, **changes: Any) -> None:
        self.folder = folder
        self.port = _find_port()
        self._environment = {
            "AEGLE_DATA_FOLDER": str(folder),
            **({} if bundle is None else {"AEGLE_BUNDLE": str(bundle)}),
            "AEGLE_PORT": str(self.port),
            "AEGLE_MIN_FREE_BYTES": "0",
            "AEGLE_DEVICE": "cpu",
            "AEGLE_DECODERS": "1",
            "AEGLE_LOG_LEVEL": "warning",
            **{f"AEGLE_{name.upper()}": str(value) for name, value in changes.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.key = _make_key(folder, changes)

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
        """Start the process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AEGLE_")}
        with (self.folder / "log.jsonl").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "serve"],
                env=kept | self._environment,
                stdout=log,
                stderr=log,
            )

    def await_ready(self, path: str = "/readyz") -> float:
        """Wait until scans are taken in, or until `path` says so, and give the seconds."""
        started = time.monotonic()
        with self.open_client() as client:
            while time.monotonic() - started < START_S and self.is_running:
                try:
                    if client.get(path).status_code == 200:
                        return time.monotonic() - started
                except httpx2.TransportError:
                    pass
                time.sleep(0.02)
        raise TimeoutError((self.folder / "log.jsonl").read_text()[-2000:])

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def open_client(self) -> httpx2.Client:
        """Open a client that holds an administrator's key."""
        return httpx2.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60.0,
            trust_env=False,
        )

    def measure_memory(self) -> int:
        """Give the resident bytes of the process, without those of its decoders."""
        return self._read_status("VmRSS")

    def measure_peak(self) -> int:
        """Give the most resident bytes since the peak was forgotten."""
        return self._read_status("VmHWM")

    def forget_peak(self) -> int:
        """Start the kernel's record of peak memory anew, and give what is resident now."""
        (self._proc / "clear_refs").write_text("5", encoding="ascii")
        return self.measure_memory()

    @property
    def _proc(self) -> Path:
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}")

    def _read_status(self, field: str) -> int:
        status = (self._proc / "status").read_text(encoding="ascii")
        (line,) = (line for line in status.splitlines() if line.startswith(f"{field}:"))
        return int(line.split()[1]) * 1024

    def kill(self) -> None:
        """End the process as a power cut would."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """Ask the process to end, and give its exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, sign: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(sign)
        status = self._process.wait(90)
        self._process = None
        return status


def _find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _make_key(folder: Path, changes: dict[str, Any]) -> str:
    storage = open_storage(Settings(data_folder=folder, **{"min_free_bytes": 0} | changes))
    with storage.database.transaction() as session:
        order = KeyOrder("test", ROLES[Role.ADMIN])
        _, token = create_key(session, order, "test", SystemClock().now())
    storage.close()
    return str(token)
