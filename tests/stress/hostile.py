"""The row that hands in every bomb over REST: time to the refusal, memory of the service."""

import time

import httpx2

from tests.builders.bombs import BOMBS
from tests.builders.processes import ServiceProcess
from tests.stress.verdict import Bar, Order, Outcome

REFUSAL_S = 1.0
MOST_GROWTH = 64
MEBI = 2**20


def hand_in_bombs(order: Order) -> Outcome:
    """Hand in every bomb, round after round."""
    faults: list[str] = []
    slowest: dict[str, float] = {}
    growth: dict[str, float] = {}
    with ServiceProcess(order.folder / "data", order.bundle, decoders=2) as service:
        service.await_ready()
        with service.open_client() as client:
            _send(client, b"garbage")
            for _ in range(order.rounds):
                for name, (content, _error) in BOMBS.items():
                    before = service.forget_peak()
                    status, took_s = _send(client, content)
                    grown = (service.measure_peak() - before) / MEBI
                    slowest[name] = max(slowest.get(name, 0.0), took_s)
                    growth[name] = max(growth.get(name, 0.0), grown)
                    if not 400 <= status < 500:
                        faults.append(f"{name} was answered {status}")
                order.advance()
            page = client.get("/api/v1/cases").json()["items"]
    faults += [f"{len(page)} cases were opened"] * bool(page)
    worst_s, worst = max(slowest, key=slowest.__getitem__), max(growth, key=growth.__getitem__)
    return Outcome(
        f"hostile uploads ({len(BOMBS)})",
        order.rounds,
        bars=[
            Bar(f"slowest refusal ({worst_s})", slowest[worst_s], REFUSAL_S, "s"),
            Bar(f"growth of the service ({worst})", growth[worst], MOST_GROWTH, "MiB"),
        ],
        faults=faults,
    )


def _send(client: httpx2.Client, content: bytes) -> tuple[int, float]:
    started = time.perf_counter()
    answer = client.post("/api/v1/scans", params={"wait": 30}, content=content)
    return answer.status_code, time.perf_counter() - started
