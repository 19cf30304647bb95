"""What was acknowledged is on disk: the service is killed in the middle of uploads."""

import signal
from itertools import count

import pytest

from app.cases.repository import CaseRepository
from app.cases.states import CaseState
from app.cases.worklist import CaseFilter
from app.settings import Settings
from app.storage.opening import open_storage
from tests.builders.evaluations import draw_scan
from tests.builders.kills import KillPlan, kill_during_uploads
from tests.builders.pictures import encode_picture
from tests.builders.processes import ServiceProcess

PLAN = KillPlan(rounds=3)


def count_queued(folder):
    """Count the cases that a stopped service left unscored."""
    storage = open_storage(Settings(data_folder=folder, min_free_bytes=0))
    with storage.database.reading() as session:
        queued = CaseRepository(session).count_cases(CaseFilter(state=CaseState.QUEUED))
    storage.close()
    return queued


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_and_nothing_scored_twice(tiny_bundle, tmp_path):
    options = {"queue_scans": 1000, "log_level": "info"}
    with ServiceProcess(tmp_path / "data", tiny_bundle, **options) as service:
        service.await_ready()
        tally = kill_during_uploads(service, PLAN, count(20_000), lambda: None)

    assert len(tally.acknowledged) >= PLAN.rounds * PLAN.uploads
    assert tally.lost == 0
    assert set(tally.finding_counts) == {1}


@pytest.mark.slow
def test_a_service_that_is_asked_to_end_scores_what_it_accepted(tiny_bundle, tmp_path):
    with ServiceProcess(tmp_path / "data", tiny_bundle) as service:
        service.await_ready()
        with service.open_client() as client:
            uploads = [
                client.post(
                    "/api/v1/scans",
                    content=encode_picture(draw_scan(30_000 + seed, has_lesion=True), "png"),
                ).json()["upload_id"]
                for seed in range(10)
            ]
        status = service.terminate()

    assert status in {0, -signal.SIGTERM}  # uvicorn raises the signal again when all is done
    assert len(uploads) == 10
    assert count_queued(tmp_path / "data") == 0
