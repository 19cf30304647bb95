import pytest

from app.batch.pace import estimate_left_s, measure_rate
from tests.builders.rescoring import (
    keep,
    say,
    take,
)


def test_rate_and_time_left_are_those_of_the_last_commits(storage, plan, clock, find):
    job = plan(12)
    for _ in range(2):
        held = take(storage, job, clock)
        clock.move(2)
        keep(storage, held, clock, say("typical"))

    running = find(job.id)

    assert measure_rate(running, clock.now()) == pytest.approx(2.0)
    assert estimate_left_s(running, clock.now()) == pytest.approx(2.0)


def test_a_job_that_has_not_begun_has_no_rate(plan, clock):
    job = plan(4)

    assert measure_rate(job, clock.now()) is None
    assert estimate_left_s(job, clock.now()) is None
