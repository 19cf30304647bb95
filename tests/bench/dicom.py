"""Objects a second that come by STOW-RS and C-STORE, against Orthanc in the same run.

Nothing is scored: the service has no bundle. Both write every object with fsync.
"""

import http.client
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from tests.bench.ratio import Ratio, compare_rates
from tests.builders.dicom import AXIAL, build_dicom
from tests.builders.orthanc import find_orthanc, run_orthanc
from tests.builders.processes import CALLER, ListenerProcess, ServiceProcess
from tests.builders.stow import DICOM_TYPE, build_message, make_uid

CONNECTIONS = (1, 4, 16)
OBJECTS = 160
WARM_UP = 16
SIDE_PX = 512
MEMORY_MIB = 300.0


@dataclass(frozen=True)
class Sent:
    """How long each object took, and all of them together."""

    latencies_s: Sequence[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Objects a second."""
        return len(self.latencies_s) / self.seconds

    @property
    def tail_ms(self) -> float:
        """Their 99th percentile."""
        return 1000 * float(np.quantile(self.latencies_s, 0.99))


@dataclass(frozen=True)
class Target:
    """A STOW-RS address, and the headers it wants."""

    url: str
    headers: dict[str, str]


def measure_dicom(folder: Path, rounds: int) -> list[Ratio]:
    """Send CT slices of 512 KB over 1, 4 and 16 connections, and by storescu."""
    missing = [
        name
        for name, found in (
            ("orthanc and orthanc-dicomweb", find_orthanc()),
            ("dcmtk", shutil.which("storescu")),
        )
        if not found
    ]
    if missing:
        raise RuntimeError(f"not installed: apt-get install {' '.join(missing)}")
    data = folder / "service"
    with (
        run_orthanc(folder / "orthanc") as orthanc,
        ServiceProcess(data, None, dicom_quiet_s=3600) as service,
        ListenerProcess(data) as listener,
    ):
        service.await_ready("/healthz")
        key = {"Authorization": f"Bearer {service.key}"}
        ours = Target(f"http://127.0.0.1:{service.port}/dicom-web/studies", key)
        theirs = Target(f"{orthanc.url}/studies", {})
        for target in (ours, theirs):
            send_objects(target, draw_slices(WARM_UP), 4)
        ratios = [
            ratio
            for connections in CONNECTIONS
            for ratio in _compare_stow(ours, theirs, connections, rounds)
        ]
        memory = service.measure_memory() / 2**20
        ratios.append(
            Ratio("memory of the service after STOW", memory, MEMORY_MIB, "MiB", 1.0, "at most")
        )
        ports = (listener.port, orthanc.dicom_port)
        ratios.append(_compare_store(folder, ports, rounds))
    return ratios


def draw_slices(count: int) -> list[bytes]:
    """Draw CT slices of one series, 512 KB each."""
    noise = np.random.default_rng(0).integers(0, 4096, (SIDE_PX, SIDE_PX), dtype=np.uint16)
    study, series = make_uid(), make_uid()
    return [
        build_dicom(
            np.roll(noise, number, 0),
            StudyInstanceUID=study,
            SeriesInstanceUID=series,
            SOPInstanceUID=make_uid(),
            InstanceNumber=number,
            PatientID="bench",
            PatientName="Bench",
            ImageOrientationPatient=AXIAL,
            ImagePositionPatient=[0.0, 0.0, float(number)],
            PixelSpacing=[0.5, 0.5],
        )
        for number in range(count)
    ]


def send_objects(target: Target, objects: Sequence[bytes], connections: int) -> Sent:
    """Send each object in a message of its own, over so many connections at once."""
    waiting, lock = iter(objects), threading.Lock()
    latencies_s: list[float] = []
    refused: list[str] = []
    place = urlsplit(target.url)
    headers = {"Content-Type": DICOM_TYPE, "Accept": "application/dicom+json", **target.headers}

    def send() -> None:
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
        while True:
            with lock:
                content = next(waiting, None)
            if content is None:
                connection.close()
                return
            body = build_message(content)
            started = time.perf_counter()
            connection.request("POST", place.path, body, headers)
            answer = connection.getresponse()
            told = answer.read()
            if answer.status == 200 and b"00081199" in told:
                latencies_s.append(time.perf_counter() - started)
            else:
                refused.append(f"{answer.status} {told[:300]!r}")

    threads = [threading.Thread(target=send) for _ in range(connections)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if len(latencies_s) != len(objects):
        lost = len(objects) - len(latencies_s)
        raise RuntimeError(f"{lost} objects were not stored: {refused[:1]}")
    return Sent(latencies_s, seconds)


def _compare_stow(ours: Target, theirs: Target, connections: int, rounds: int) -> list[Ratio]:
    measured = []
    for _ in range(rounds):
        sent = [
            send_objects(target, draw_slices(OBJECTS), connections) for target in (ours, theirs)
        ]
        measured.append(sent)
    rates = compare_rates([(one.rate, other.rate) for one, other in measured])
    tails = [float(np.median([sent[place].tail_ms for sent in measured])) for place in (0, 1)]
    name = f"STOW of 512 KB over {connections}, against Orthanc"
    return [
        Ratio(name, *rates, "objects/s", 1.0, "at least"),
        Ratio(f"{name}: slowest of 100", tails[0], tails[1], "ms", 1.0, "at most"),
    ]


def _compare_store(folder: Path, ports: tuple[int, int], rounds: int) -> Ratio:
    measured = [
        (
            _store(folder / f"ours-{number}", ports[0], "AEGLE"),
            _store(folder / f"theirs-{number}", ports[1], "ORTHANC"),
        )
        for number in range(rounds)
    ]
    rates = compare_rates(measured)
    return Ratio("C-STORE by storescu, against Orthanc", *rates, "objects/s", 0.9, "at least")


def _store(folder: Path, port: int, called: str) -> float:
    folder.mkdir()
    for number, content in enumerate(draw_slices(OBJECTS)):
        (folder / f"{number}.dcm").write_bytes(content)
    command = ["storescu", "-aet", CALLER, "-aec", called, "+sd", "127.0.0.1", str(port), folder]
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return OBJECTS / (time.perf_counter() - started)
