"""Uploads to a service process that is killed in their middle, and what is found of them after."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2

from app.clock import SystemClock
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture
from tests.builders.processes import ServiceProcess

PATIENCE_S = 120.0


class Sender(threading.Thread):
    """Hands pictures in until the service goes away; remembers what was acknowledged."""

    def __init__(self, service: ServiceProcess, seeds: Iterator[int]) -> None:
        super().__init__(daemon=True)
        self.service = service
        self.seeds = seeds
        self.acknowledged: list[str] = []

    def run(self) -> None:
        """Send until nobody answers."""
        with self.service.open_client() as client:
            while True:
                picture = encode_picture(draw_scan(next(self.seeds), has_lesion=True), "png")
                try:
                    answer = client.post("/api/v1/scans", content=picture)
                except httpx2.TransportError:
                    return
                if answer.status_code in {201, 202}:
                    self.acknowledged.append(answer.json()["upload_id"])


@dataclass
class KillTally:
    """What was acknowledged over some rounds, and what became of it.

    `ready_s`: from the bundle loaded to ready again, a start each.
    """

    acknowledged: list[str] = field(default_factory=list)
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    finding_counts: list[int] = field(default_factory=list)
    ready_s: list[float] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Acknowledged uploads that were not found, or not scored."""
        return len(self.acknowledged) - len(self.receipts)

    @property
    def twice(self) -> int:
        """Cases with more than one finding."""
        return sum(count > 1 for count in self.finding_counts)


@dataclass(frozen=True)
class KillPlan:
    """How many rounds, how many senders, how many uploads before each kill."""

    rounds: int
    senders: int = 4
    uploads: int = 12


def kill_during_uploads(
    service: ServiceProcess, plan: KillPlan, seeds: Iterator[int], advance: Callable[[], None]
) -> KillTally:
    """Kill a service that is ready, start it again, round after round; look for every upload."""
    tally = KillTally()
    for _ in range(plan.rounds):
        senders = [Sender(service, seeds) for _ in range(plan.senders)]
        for sender in senders:
            sender.start()
        _await_uploads(senders, plan.uploads)
        service.kill()
        for sender in senders:
            sender.join(PATIENCE_S)
            tally.acknowledged += sender.acknowledged
        service.start()
        service.await_ready()
        tally.ready_s.append(measure_readiness(service))
        advance()
    with service.open_client() as client:
        find_receipts(client, tally)
    return tally


def find_receipts(client: httpx2.Client, tally: KillTally) -> None:
    """Wait until every acknowledged upload is scored, and count the findings of its cases."""
    deadline = time.monotonic() + PATIENCE_S
    for upload in tally.acknowledged:
        receipt = _await_scored(client, upload, deadline)
        if receipt is None:
            continue
        tally.receipts[upload] = receipt
        for case in receipt["cases"]:
            history = client.get(f"/api/v1/cases/{case['id']}/history").json()
            tally.finding_counts.append(len(history["findings"]))


def _await_scored(client: httpx2.Client, upload: str, deadline: float) -> dict[str, Any] | None:
    while time.monotonic() < deadline:
        answer = client.get(f"/api/v1/scans/{upload}")
        if answer.status_code == 200 and answer.json()["is_done"]:
            found: dict[str, Any] = answer.json()
            return found
        time.sleep(0.02)
    return None


def _await_uploads(senders: Sequence[Sender], wanted: int) -> None:
    """Wait until some uploads were acknowledged; more are on their way then."""
    deadline = time.monotonic() + PATIENCE_S
    while sum(len(sender.acknowledged) for sender in senders) < wanted:
        if time.monotonic() > deadline:
            raise TimeoutError("nothing was acknowledged")
        time.sleep(0.005)


def measure_readiness(service: ServiceProcess) -> float:
    """Give the seconds from the bundle loaded, as the log tells, to ready, which is now."""
    now = SystemClock().now()
    for line in reversed(service.log.read_text().splitlines()):
        if '"bundle loaded"' in line:
            return (now - datetime.fromisoformat(json.loads(line)["at"])).total_seconds()
    raise LookupError("the log tells of no bundle")
