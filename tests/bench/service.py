"""Uploads a second of one service process against a bare loop over the same files, in one run."""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
import torch

from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.detector import Detector
from models.reconstruct import fixed_threads
from tests.bench.ratio import Ratio, compare_rates
from tests.bench.scoring import publish_default_bundle
from tests.builders.cohorts import make_picture
from tests.builders.pictures import encode_picture
from tests.builders.processes import ServiceProcess

RATE = "service, 16 connections, against a bare loop"
TAIL = "slowest of 100 uploads, against the mean time of one alone"
MEMORY = "memory of the service, last round against first"
SIDE_PX = 224
CONNECTIONS = 16
FILES = 192
ALONE = 24
WARM_UP = 64
DECODERS = 2
LIMITS = DecodeLimits()


@dataclass(frozen=True)
class Uploads:
    """How long each upload took, finding included, and all of them together."""

    latencies_s: Sequence[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Uploads a second."""
        return len(self.latencies_s) / self.seconds

    @property
    def tail_s(self) -> float:
        """Their 99th percentile."""
        return float(np.quantile(self.latencies_s, 0.99))


@dataclass(frozen=True)
class _Round:
    together: Uploads
    alone: Uploads
    bare_rate: float
    memory_bytes: int


def measure_service(folder: Path, rounds: int) -> list[Ratio]:
    """Upload JPEG files of 224 px and wait for each finding; score the same files bare."""
    bundle = publish_default_bundle(folder / "bundle")
    detector = Detector.load(bundle, torch.device("cpu"))
    pictures = Pictures()
    with ServiceProcess(folder / "service", bundle, decoders=DECODERS) as service:
        service.await_ready()
        upload(service, pictures.draw(WARM_UP), CONNECTIONS)
        score_bare(detector, pictures.draw(4), folder)
        measured = [_measure_round(service, detector, pictures, folder) for _ in range(rounds)]
    return _compare(measured)


def _measure_round(
    service: ServiceProcess, detector: Detector, pictures: "Pictures", folder: Path
) -> _Round:
    files = pictures.draw(FILES)
    bare_rate = score_bare(detector, files, folder)
    alone = upload(service, pictures.draw(ALONE), 1)
    together = upload(service, files, CONNECTIONS)
    return _Round(together, alone, bare_rate, service.measure_memory())


def _compare(rounds: Sequence[_Round]) -> list[Ratio]:
    rates = compare_rates([(each.together.rate, each.bare_rate) for each in rounds])
    tail = median(each.together.tail_s for each in rounds)
    alone = mean(mean(each.alone.latencies_s) for each in rounds)
    first, last = (rounds[index].memory_bytes / 2**20 for index in (0, -1))
    return [
        Ratio(RATE, *rates, "scans/s", 0.6, "at least"),
        Ratio(TAIL, 1000 * tail, 1000 * alone, "ms", CONNECTIONS, "at most"),
        Ratio(MEMORY, last, first, "MiB resident", 1.05, "at most"),
    ]


class Pictures:
    """Draws JPEG files, each of them once."""

    def __init__(self) -> None:
        self._drawn = 0

    def draw(self, count: int) -> list[bytes]:
        """Draw files that nobody has seen."""
        seeds = range(self._drawn, self._drawn + count)
        self._drawn += count
        return [encode_picture(make_picture(seed, SIDE_PX), "jpeg", quality=90) for seed in seeds]


def upload(service: ServiceProcess, files: Sequence[bytes], connections: int) -> Uploads:
    """Hand files in over so many connections at once, and wait for each finding."""
    waiting, lock = iter(files), threading.Lock()
    latencies_s: list[float] = []

    def send() -> None:
        with service.open_client() as client:
            while True:
                with lock:
                    content = next(waiting, None)
                if content is None:
                    return
                started = time.perf_counter()
                answer = client.post("/api/v1/scans", params={"wait": 60}, content=content)
                if answer.status_code == 201:
                    latencies_s.append(time.perf_counter() - started)

    threads = [threading.Thread(target=send) for _ in range(connections)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if len(latencies_s) != len(files):
        raise RuntimeError(f"{len(files) - len(latencies_s)} uploads were not scored")
    return Uploads(latencies_s, seconds)


def score_bare(detector: Detector, files: Sequence[bytes], folder: Path) -> float:
    """Give scans a second of reading, decoding, scoring and fsyncing, one file after the other."""
    paths = [folder / f"{number}.jpg" for number in range(len(files))]
    for path, content in zip(paths, files, strict=True):
        path.write_bytes(content)
    started = time.perf_counter()
    for path in paths:
        content = path.read_bytes()
        with fixed_threads():
            detector.examine([decode_scan(content, LIMITS)])
        with path.with_suffix(".kept").open("wb") as kept:
            kept.write(content)
            kept.flush()
            os.fsync(kept.fileno())
    return len(files) / (time.perf_counter() - started)
