"""A job goes on by itself: the service is killed in the middle of scoring stored scans again."""

from itertools import count

import pytest

from tests.builders.job_kills import OPTIONS, JobKillPlan, kill_during_job
from tests.builders.processes import ServiceProcess

PLAN = JobKillPlan(rounds=3, cases=60)


@pytest.mark.slow
def test_a_killed_job_goes_on_and_scores_every_scan_once(tiny_bundle, tmp_path):
    with ServiceProcess(tmp_path / "data", tiny_bundle, **OPTIONS) as service:
        service.await_ready()
        tally = kill_during_job(service, tiny_bundle, PLAN, count(60_000), lambda: None)

    job = tally.job
    assert tally.kills == PLAN.rounds
    assert (job["status"], job["total"], job["done"]) == ("done", PLAN.cases, PLAN.cases)
    assert (job["failed"], job["skipped"]) == (0, 0)
    assert (tally.lost, tally.twice) == (0, 0)
    assert (tally.most_findings, tally.most_scorings) == (1, 1)
