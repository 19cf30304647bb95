"""The row that counts memory over many scans and many changes of the bundle."""

import threading
from itertools import count
from pathlib import Path

import httpx2

from tests.builders.bundles import copy_bundle, edit_json, sign_again
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import build_zip, encode_picture
from tests.builders.processes import ServiceProcess
from tests.stress.verdict import Bar, Order, Outcome

WARM_UP = 500
SWAPS = 20
SENDERS = 4
MOST_SCANS, MOST_SWAPS = 1.05, 1.10


def hold_memory(order: Order) -> Outcome:
    """Score a hundred scans a round, then swap two bundles twenty times."""
    options = {"queue_scans": 1000, "key_rate_per_minute": 1_000_000}
    seeds = count(5_000_000)
    with ServiceProcess(order.folder / "data", order.bundle, **options) as service:
        service.await_ready()
        _send(service, seeds, WARM_UP)
        first = service.measure_memory()
        accepted = 0
        for _ in range(order.rounds):
            accepted += _send(service, seeds, 100)
            order.advance()
        after_scans = service.measure_memory()
        with service.open_client() as client:
            _swap(client, order.bundle, order.folder / "other")
        after_swaps = service.measure_memory()
    return Outcome(
        "memory",
        order.rounds,
        acknowledged=100 * order.rounds,
        found=accepted,
        lost=100 * order.rounds - accepted,
        bars=[
            Bar(f"after {100 * order.rounds} scans", after_scans / first, MOST_SCANS, "times"),
            Bar(f"after {SWAPS} swaps", after_swaps / after_scans, MOST_SWAPS, "times"),
        ],
    )


def _send(service: ServiceProcess, seeds: "count[int]", number: int) -> int:
    """Send scans and give how many were scored."""
    scored: list[str] = []
    lock = threading.Lock()

    def send() -> None:
        with service.open_client() as client:
            for _ in range(number // SENDERS):
                with lock:
                    seed = next(seeds)
                picture = encode_picture(draw_scan(seed, has_lesion=True), "png")
                answer = client.post("/api/v1/scans", params={"wait": 60}, content=picture)
                scored.extend("" for _ in range(answer.status_code == 201))

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(scored)


def _swap(client: httpx2.Client, bundle: Path, folder: Path) -> None:
    copy_bundle(bundle, folder)
    edit_json(folder / "manifest.json", lambda manifest: manifest.update(name="other"))
    sign_again(folder)
    (first,) = client.get("/api/v1/bundles").json()["items"]
    archive = build_zip({path.name: path.read_bytes() for path in folder.iterdir()})
    headers = {"Content-Type": "application/zip"}
    second = client.post("/api/v1/bundles", content=archive, headers=headers).json()
    for number in range(SWAPS):
        digest = (second, first)[number % 2]["digest"]
        client.post(f"/api/v1/bundles/{digest}/activate").raise_for_status()
