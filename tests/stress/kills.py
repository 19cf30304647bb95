"""Rows that take the service away: kill -9 in the middle of uploads, and of a job."""

from itertools import count

from tests.builders.job_kills import OPTIONS, JobKillPlan, kill_during_job
from tests.builders.kills import KillPlan, kill_during_uploads
from tests.builders.processes import ServiceProcess
from tests.stress.verdict import Bar, Order, Outcome

READY_S = 2.0
CASES_A_ROUND = 15


def kill_uploads(order: Order) -> Outcome:
    """Kill the service in the middle of uploads."""
    options = {"queue_scans": 1000, "log_level": "info"}
    with ServiceProcess(order.folder / "data", order.bundle, **options) as service:
        service.await_ready()
        plan = KillPlan(order.rounds)
        tally = kill_during_uploads(service, plan, count(1_000_000), order.advance)
    slowest_s = max(tally.ready_s)
    return Outcome(
        "kill uploads",
        order.rounds,
        acknowledged=len(tally.acknowledged),
        found=len(tally.receipts),
        lost=tally.lost,
        twice=tally.twice,
        ready_s=slowest_s,
        bars=[Bar("ready after the bundle was loaded", slowest_s, READY_S, "s")],
    )


def kill_job(order: Order) -> Outcome:
    """Kill the service in the middle of a re-scoring job."""
    plan = JobKillPlan(order.rounds, CASES_A_ROUND * (order.rounds + 1))
    with ServiceProcess(order.folder / "data", order.bundle, **OPTIONS) as service:
        service.await_ready()
        seeds = count(2_000_000)
        tally = kill_during_job(service, order.bundle, plan, seeds, order.advance)
    job, slowest_s = tally.job, max(tally.ready_s)
    faults = [f"the job is {job['status']}"] if job["status"] != "done" else []
    return Outcome(
        "kill a job",
        tally.kills,
        acknowledged=job["total"],
        found=tally.finding_count,
        lost=tally.lost,
        twice=tally.twice,
        ready_s=slowest_s,
        bars=[Bar("ready after the bundle was loaded", slowest_s, READY_S, "s")],
        faults=faults,
    )
