"""The row that sends ten times what one machine can score."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import httpx2
import numpy as np

from tests.builders.evaluations import draw_scan
from tests.builders.kills import KillTally, find_receipts
from tests.builders.pictures import encode_picture
from tests.builders.processes import ServiceProcess
from tests.stress.verdict import Bar, Order, Outcome

ROUND_S = 5.0
QUEUE = 32
CONNECTIONS = 16
TIMES = 10
HEALTH_S = 0.1


@dataclass
class _Flood:
    acknowledged: list[str] = field(default_factory=list)
    refused: int = 0
    faults: list[str] = field(default_factory=list)


def overload(order: Order) -> Outcome:
    """Offer ten times the rate that is scored; everything accepted must be scored."""
    options = {"queue_scans": QUEUE, "key_rate_per_minute": 1_000_000}
    tally, flood, slow_s = KillTally(), _Flood(), list[float]()
    with ServiceProcess(order.folder / "data", order.bundle, **options) as service:
        service.await_ready()
        rate = _measure_rate(service)
        for number in range(order.rounds):
            found, took_s = _flood_once(service, number, TIMES * rate)
            flood.acknowledged += found["acknowledged"]
            flood.refused += found["refused"]
            flood.faults += found["faults"]
            slow_s += took_s
            order.advance()
        tally.acknowledged = flood.acknowledged
        with service.open_client() as client:
            find_receipts(client, tally)
    if not flood.refused:
        flood.faults.append("nothing was refused: the queue is not bounded")
    return Outcome(
        "overload",
        order.rounds,
        acknowledged=len(tally.acknowledged),
        found=len(tally.receipts),
        lost=tally.lost,
        twice=tally.twice,
        bars=[Bar("healthz p99", 1000 * float(np.quantile(slow_s, 0.99)), 100, "ms")],
        faults=flood.faults,
    )


def _measure_rate(service: ServiceProcess) -> float:
    """Give the scans a second that the service scores for four senders."""
    seeds, started, number = count(3_000_000), time.monotonic(), 60
    lock = threading.Lock()

    def send() -> None:
        with service.open_client() as client:
            for _ in range(number // 4):
                with lock:
                    seed = next(seeds)
                client.post("/api/v1/scans", params={"wait": 60}, content=_draw(seed))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return number / (time.monotonic() - started)


def _flood_once(
    service: ServiceProcess, number: int, rate: float
) -> tuple[dict[str, list[str]], list[float]]:
    """Let another process send, and ask for the health meanwhile."""
    words = [str(service.port), service.key, str(number), str(rate)]
    sender = subprocess.Popen(
        [sys.executable, "-m", "tests.stress.overload", *words], stdout=subprocess.PIPE
    )
    took_s: list[float] = []
    with service.open_client() as client:
        while sender.poll() is None:
            started = time.perf_counter()
            answer = client.get("/healthz")
            took_s.append(time.perf_counter() - started)
            if answer.status_code != 200:
                raise RuntimeError("healthz did not answer 200")
            time.sleep(HEALTH_S)
    output, _ = sender.communicate()
    return json.loads(output), took_s


def _draw(seed: int) -> bytes:
    return encode_picture(draw_scan(seed, has_lesion=True), "png")


def _send_all(address: str, key: str, seeds: Iterator[int], rate: float) -> _Flood:
    """Send for some seconds at a rate over all connections, each its own picture."""
    flood, until = _Flood(), time.monotonic() + ROUND_S
    pause_s = CONNECTIONS / rate

    def send(seeds: Iterator[int]) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx2.Client(base_url=address, headers=headers, timeout=60, trust_env=False) as one:
            due = time.monotonic()
            while time.monotonic() < until:
                _note(flood, one.post("/api/v1/scans", content=_draw(next(seeds))))
                due += pause_s
                time.sleep(max(0.0, due - time.monotonic()))

    first = next(seeds)
    threads = [
        threading.Thread(target=send, args=(count(first + 100_000 * each),))
        for each in range(CONNECTIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return flood


def _note(flood: _Flood, answer: httpx2.Response) -> None:
    if answer.status_code in {201, 202}:
        flood.acknowledged.append(answer.json()["upload_id"])
    elif answer.status_code == 503 and int(answer.headers.get("Retry-After", "0")) > 0:
        flood.refused += 1
    else:
        flood.faults.append(f"an upload was answered {answer.status_code}")


if __name__ == "__main__":
    port, key, number, rate = sys.argv[1:]
    seeds = count(10_000_000 * (1 + int(number)))
    sent = _send_all(f"http://127.0.0.1:{port}", key, seeds, float(rate))
    sys.stdout.write(json.dumps(vars(sent)))
