"""Orthanc with its DICOMweb plugin, as Debian packages it, on ports of its own."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running Orthanc: its DICOMweb root, and where it takes associations."""

    url: str
    dicom_port: int


def find_orthanc() -> str | None:
    """Give the program where it and its plugin are installed."""
    return shutil.which("Orthanc") if PLUGIN.is_file() else None


@contextmanager
def run_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Run Orthanc with an empty store."""
    http_port, dicom_port = _find_port(), _find_port()
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": "ORTHANC",
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "Plugins": [str(PLUGIN)],
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            [str(find_orthanc()), str(folder / "orthanc.json")], stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{http_port}/dicom-web"
        _await_answer(url)
        yield Orthanc(url, dicom_port)
    finally:
        process.terminate()
        process.wait(30)


def _await_answer(url: str) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        try:
            if httpx2.get(f"{url}/studies", trust_env=False).is_success:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError("Orthanc does not answer")


def _find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
