"""Rows that take a part away: the engine's thread, the database, the folder of the blobs."""

import sqlite3
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import httpx2

from tests.builders.evaluations import draw_scan
from tests.builders.kills import KillTally, find_receipts
from tests.builders.pictures import encode_picture
from tests.builders.processes import ServiceProcess
from tests.builders.services import make_settings, run_service
from tests.stress.verdict import Bar, Order, Outcome

DEATH_S = 1.0
AWAY_S = 3.0
SENDERS = 4


def end_the_engine(order: Order) -> Outcome:
    """End the engine's thread behind the service's back; a new service each round."""
    took_s = []
    for number in range(order.rounds):
        folder = order.folder / str(number)
        with run_service(make_settings(folder, bundle=order.bundle)) as client:
            client.app.state.road.line.engine._queue.close()
            started = time.perf_counter()
            while client.get("/readyz").status_code == 200:
                time.sleep(0.01)
            took_s.append(time.perf_counter() - started)
        order.advance()
    return Outcome(
        "engine dead", order.rounds, bars=[Bar("readyz 503 after", max(took_s), DEATH_S, "s")]
    )


def lock_the_database(order: Order) -> Outcome:
    """Lock the database file from another process's side while uploads come."""
    return _disturb(order, "database locked", _lock)


def take_the_blobs_away(order: Order) -> Outcome:
    """Make the folder of the blobs unreachable while uploads come, as a lost disk does."""
    return _disturb(order, "blob store away", _move_away)


def _disturb(order: Order, row: str, disturb: Callable[[Path], None]) -> Outcome:
    tally, faults = KillTally(), list[str]()
    ready_s = []
    seeds = count(7_000_000)
    options = {"queue_scans": 1000, "key_rate_per_minute": 1_000_000}
    with ServiceProcess(order.folder / "data", order.bundle, **options) as service:
        service.await_ready()
        for _ in range(order.rounds):
            senders = [_Steady(service, seeds) for _ in range(SENDERS)]
            for sender in senders:
                sender.start()
            time.sleep(0.5)
            disturb(service.folder)
            ready_s.append(service.await_ready())
            time.sleep(0.5)
            for sender in senders:
                sender.is_over = True
                sender.join(60)
                tally.acknowledged += sender.acknowledged
                faults += sender.faults
            order.advance()
        with service.open_client() as client:
            find_receipts(client, tally)
    return Outcome(
        row,
        order.rounds,
        acknowledged=len(tally.acknowledged),
        found=len(tally.receipts),
        lost=tally.lost,
        twice=tally.twice,
        ready_s=max(ready_s),
        faults=faults,
    )


class _Steady(threading.Thread):
    """Hands pictures in until told to end; only an acceptance or a 503 is right."""

    def __init__(self, service: ServiceProcess, seeds: "count[int]") -> None:
        super().__init__(daemon=True)
        self.service = service
        self.seeds = seeds
        self.is_over = False
        self.acknowledged: list[str] = []
        self.faults: list[str] = []

    def run(self) -> None:
        """Send until it is over."""
        with self.service.open_client() as client:
            while not self.is_over:
                self._send(client)

    def _send(self, client: httpx2.Client) -> None:
        picture = encode_picture(draw_scan(next(self.seeds), has_lesion=True), "png")
        answer = client.post("/api/v1/scans", content=picture)
        if answer.status_code in {201, 202}:
            self.acknowledged.append(answer.json()["upload_id"])
        elif answer.status_code == 503:
            time.sleep(0.05)
        else:
            self.faults.append(f"an upload was answered {answer.status_code}")


def _lock(folder: Path) -> None:
    database = sqlite3.connect(folder / "aegle.db", timeout=30, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    time.sleep(AWAY_S)
    database.execute("ROLLBACK")
    database.close()


def _move_away(folder: Path) -> None:
    away = folder / "blobs.away"
    (folder / "blobs").rename(away)
    time.sleep(AWAY_S)
    away.rename(folder / "blobs")
