"""A service in a process of its own, on a free port, that can be killed at any moment."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import httpx2

from app.auth.permissions import ROLES, Role
from app.auth.service import KeyOrder, create_key
from app.clock import SystemClock
from app.settings import Settings
from app.storage.opening import open_storage

START_S = 120.0
CALLER = "CT1"


class AegleProcess:
    """A command of ours on a data folder; started, killed and started again on the same port."""

    command: ClassVar[str]

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        self.port = _find_port()
        values = {"data_folder": folder, "min_free_bytes": 0, "decoders": 1} | settings
        self._environment = {f"AEGLE_{name.upper()}": str(value) for name, value in values.items()}
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

    @property
    def log(self) -> Path:
        """What the process writes."""
        return self.folder / f"{self.command}.jsonl"

    def start(self) -> None:
        """Start the process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AEGLE_")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", self.command],
                env=kept | self._environment,
                stdout=log,
                stderr=log,
            )

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

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

    def count_files(self) -> int:
        """Give how many files and sockets are open."""
        return len(list((self._proc / "fd").iterdir()))

    def count_threads(self) -> int:
        """Give how many threads run."""
        return len(list((self._proc / "task").iterdir()))

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


class ServiceProcess(AegleProcess):
    """`aegle serve`."""

    command = "serve"

    def __init__(self, folder: Path, bundle: Path | None, **changes: Any) -> None:
        settings = {"device": "cpu", "log_level": "warning"} | changes
        super().__init__(folder, settings | ({} if bundle is None else {"bundle": bundle}))
        self._environment.setdefault("AEGLE_PORT", str(self.port))
        self.key = _make_key(folder, changes)

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
        raise TimeoutError(self.log.read_text()[-2000:])

    def open_client(self) -> httpx2.Client:
        """Open a client that holds an administrator's key."""
        return httpx2.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60.0,
            trust_env=False,
        )


class ListenerProcess(AegleProcess):
    """`aegle listen`, beside a service or alone."""

    command = "listen"

    def __init__(self, folder: Path, **changes: Any) -> None:
        settings = {"dicom_callers": f'["{CALLER}"]', "log_level": "warning"}
        super().__init__(folder, settings | changes)
        self._environment.setdefault("AEGLE_DICOM_PORT", str(self.port))

    def start(self) -> None:
        """Start the process and wait until it takes associations."""
        super().start()
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.is_running:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise TimeoutError(self.log.read_text()[-2000:])


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
