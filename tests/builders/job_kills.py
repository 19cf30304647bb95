"""A re-scoring job whose service process is killed in its middle, and what is found of it after."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import func, select

from app.audit.service import Action
from app.audit.tables import AuditEntryRow
from app.cases.tables import FindingRow
from app.settings import Settings
from app.storage.opening import open_storage
from tests.builders.bundles import copy_bundle, edit_json, sign_again
from tests.builders.evaluations import draw_scan
from tests.builders.kills import measure_readiness
from tests.builders.pictures import build_zip, encode_picture
from tests.builders.processes import ServiceProcess

PATIENCE_S = 120.0
CHUNK = 4
# Short leases: what a killed process held is taken up again after a second.
OPTIONS = {
    "job_chunk_cases": CHUNK,
    "job_lease_s": 1.0,
    "queue_scans": 1000,
    "log_level": "info",
}
ENDED = {"done", "failed", "cancelled"}


@dataclass(frozen=True)
class JobKillPlan:
    """How often the service is killed, over how many cases."""

    rounds: int
    cases: int


@dataclass
class JobKillTally:
    """What came of the job; `kills` counts those that met it running.

    `ready_s`: from the bundle loaded to ready again, a start each.
    """

    job: dict[str, Any] = field(default_factory=dict)
    kills: int = 0
    ready_s: list[float] = field(default_factory=list)
    finding_count: int = 0
    most_findings: int = 0
    most_scorings: int = 0

    @property
    def lost(self) -> int:
        """Cases of the job that have no finding of it."""
        total: int = self.job["total"]
        return total - self.finding_count

    @property
    def twice(self) -> int:
        """Cases that were counted, or scored and kept, more than once."""
        settled: int = self.job["done"] + self.job["failed"] + self.job["skipped"]
        repeated = self.most_findings > 1 or self.most_scorings > 1
        return abs(settled - self.job["total"]) + repeated


def kill_during_job(
    service: ServiceProcess,
    bundle: Path,
    plan: JobKillPlan,
    seeds: Iterator[int],
    advance: Callable[[], None],
) -> JobKillTally:
    """Kill a service that works on a job, start it again, round after round; then let it end."""
    tally = JobKillTally()
    with service.open_client() as client:
        _fill(client, plan.cases, seeds)
        digest = add_renamed(client, bundle, service.folder.parent / "renamed")
        job = client.post("/api/v1/jobs/rescore", json={"bundle": digest}).json()["id"]
    for _ in range(plan.rounds):
        tally.kills += _await_progress(service, job)
        service.kill()
        service.start()
        service.await_ready()
        tally.ready_s.append(measure_readiness(service))
        advance()
    tally.job = _await_end(service, job)
    _count_findings(service.folder, UUID(job), digest, tally)
    return tally


def add_renamed(client: httpx2.Client, bundle: Path, place: Path) -> str:
    """Register a bundle that differs from another in nothing but its name; give its digest."""
    folder = copy_bundle(bundle, place)
    edit_json(folder / "manifest.json", lambda manifest: manifest.update(name="renamed"))
    sign_again(folder)
    packed = build_zip({path.name: path.read_bytes() for path in folder.iterdir()})
    headers = {"Content-Type": "application/zip"}
    digest: str = client.post("/api/v1/bundles", content=packed, headers=headers).json()["digest"]
    return digest


def _fill(client: httpx2.Client, count: int, seeds: Iterator[int]) -> None:
    for left in range(count, 0, -1):
        picture = encode_picture(draw_scan(next(seeds), has_lesion=True), "png")
        wait = 60 if left == 1 else 0
        client.post("/api/v1/scans", params={"wait": wait}, content=picture).raise_for_status()


def _await_progress(service: ServiceProcess, job: str) -> bool:
    """Wait until some chunk was kept; tell whether the job still runs then."""
    with service.open_client() as client:
        begun = client.get(f"/api/v1/jobs/{job}").json()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            view = client.get(f"/api/v1/jobs/{job}").json()
            if view["status"] in ENDED:
                return False
            if view["done"] > begun["done"]:
                return True
            if time.monotonic() > deadline:
                raise TimeoutError(str(view))


def _await_end(service: ServiceProcess, job: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    with service.open_client() as client:
        while True:
            view: dict[str, Any] = client.get(f"/api/v1/jobs/{job}").json()
            if view["status"] in ENDED:
                return view
            if time.monotonic() > deadline:
                raise TimeoutError(str(view))
            time.sleep(0.05)


def _count_findings(folder: Path, job: UUID, digest: str, tally: JobKillTally) -> None:
    storage = open_storage(Settings(data_folder=folder, min_free_bytes=0))
    found = select(func.count()).where(FindingRow.job_id == job).group_by(FindingRow.case_id)
    entries = select(AuditEntryRow).where(AuditEntryRow.action == Action.CASE_SCORED.value)
    with storage.database.reading() as session:
        counts = list(session.scalars(found))
        scored = [row for row in session.scalars(entries) if row.detail["bundle"] == digest]
    storage.close()
    subjects = [row.subject for row in scored]
    tally.finding_count = len(counts)
    tally.most_findings = max(counts, default=0)
    tally.most_scorings = max((subjects.count(each) for each in set(subjects)), default=0)
