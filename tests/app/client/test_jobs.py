from datetime import UTC, datetime
from uuid import UUID

import httpx2
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from app.batch.schemas import FlipList, FlipView, JobView, RescoreBody, VerdictView
from app.batch.states import JobState
from app.cases.schemas import CaseSelection
from app.client import rescore_command
from app.client.upload import Upload
from app.errors import BundleNotRegistered, InvalidRequest
from tests.builders.clients import fake, refuse

JOB = UUID(int=5)
BUNDLE = "b" * 64


def make_job(status=JobState.RUNNING, **changes):
    values = {
        "id": JOB, "kind": "rescore", "status": status, "bundle": BUNDLE, "is_dry_run": True,
        "filter": CaseSelection(), "total": 4, "done": 2, "failed": 0, "skipped": 0, "flips": 1,
        "rate_per_s": 2.0, "left_s": 1.0, "created_at": datetime(2030, 1, 1, tzinfo=UTC),
        "started_at": None, "finished_at": None, "created_by": "key:1", "reason": "",
    }  # fmt: skip
    return JobView.model_validate(values | changes)


def make_flip(number):
    before = VerdictView(bundle="a" * 64, verdict="typical", score=1.25, p_value=0.5)
    after = VerdictView(bundle=BUNDLE, verdict="anomalous", score=3.5, p_value=0.01)
    return FlipView(case=UUID(int=number), before=before, after=after)


class JobService:
    """A service with one job: its stream breaks off twice, its flips come in two pages."""

    def __init__(self):
        self.last_events = []
        self.posted = []

    def __call__(self, request):
        request.read()
        if request.method == "POST":
            self.posted.append(request)
            return httpx2.Response(202, text=make_job(JobState.WAITING).model_dump_json())
        if request.url.path.endswith("/events"):
            return self._stream(request)
        if request.url.path.endswith("/flips"):
            is_first = "cursor" not in request.url.params
            page = FlipList(items=[make_flip(1 if is_first else 2)],
                            next_cursor="next" if is_first else None)  # fmt: skip
            return httpx2.Response(200, text=page.model_dump_json())
        if request.url.path.endswith("/session"):
            caller = {"id": "key:1", "name": "t", "permissions": ["jobs:run", "jobs:read"]}
            return httpx2.Response(200, json=caller)
        return httpx2.Response(200, text=make_job().model_dump_json())

    def _stream(self, request):
        self.last_events.append(request.headers.get("Last-Event-ID", ""))
        count = len(self.last_events)
        if count == 2:
            return refuse(503, "database_unavailable")
        job = make_job(JobState.DONE, done=4, flips=2) if count == 3 else make_job()
        text = f": hello\n\nevent: job\nid: {count}\ndata: {job.model_dump_json()}\n\n"
        return httpx2.Response(200, text=text, headers={"Content-Type": "text/event-stream"})


@pytest.fixture
def jobs():
    return JobService()


@pytest.fixture
def aegle(jobs, monkeypatch):
    """Run `aegle rescore` against the made-up service."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(rescore_command, "open_client", lambda *_given, **_options: fake(jobs))
    cli = typer.Typer()
    rescore_command.register(cli)
    return lambda *words: CliRunner().invoke(
        cli, ["--url", "https://aegle.example", *words], env={"COLUMNS": "160"}
    )


def test_a_stream_that_breaks_is_opened_again_where_it_was(jobs):
    with fake(jobs) as client:
        seen = [job.status for job in client.follow_job(JOB)]

    assert seen == [JobState.RUNNING, JobState.DONE]
    assert jobs.last_events == ["", "1", "1"]


def test_a_followed_job_ends_with_its_flips_as_a_table(aegle, jobs):
    ended = aegle("--bundle", BUNDLE, "--filter", "modality=MR", "--dry-run", "--follow")

    assert ended.exit_code == 0, ended.output
    assert ended.stdout.count("anomalous") == 2
    assert "1.250" in ended.stdout
    assert f"dry run {JOB} done; 4 scored, 2 flips" in ended.stdout
    assert b'"modality":"MR"' in jobs.posted[0].content


def test_without_follow_it_says_which_job_was_started(aegle):
    ended = aegle("--bundle", BUNDLE)

    assert ended.exit_code == 0
    assert f"{JOB} waiting" in ended.stdout


def test_as_json_the_job_and_each_flip_are_a_line(aegle):
    ended = aegle("--job", str(JOB), "--json")

    job, *flips = ended.stdout.splitlines()
    assert JobView.model_validate_json(job).status is JobState.DONE
    assert [FlipView.model_validate_json(flip).case.int for flip in flips] == [1, 2]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--bundle", BUNDLE, "--job", str(JOB)),
        ("--bundle", "short"),
        ("--bundle", BUNDLE, "--cancel"),
        ("--bundle", BUNDLE, "--filter", "colour=red"),
        ("--bundle", BUNDLE, "--filter", "modality"),
    ],
)
def test_an_order_that_means_nothing_is_refused_before_anything_is_sent(aegle, jobs, words):
    ended = aegle(*words)

    assert isinstance(ended.exception, InvalidRequest)
    assert jobs.posted == []


def test_an_interrupt_ends_the_watching_and_tells_how_to_go_on(capsys):
    def interrupt(_request):
        raise KeyboardInterrupt

    client = fake(interrupt)
    with pytest.raises(KeyboardInterrupt):
        rescore_command._follow(client, make_job(), Console(stderr=True, soft_wrap=True))

    assert f"--job {JOB}" in capsys.readouterr().err


def test_the_service_scores_its_cases_again(client, picture, tmp_path, tiny_detector):
    (tmp_path / "scan.png").write_bytes(picture)
    client.send_scan(Upload((tmp_path / "scan.png",)), wait_s=30)

    job = client.start_rescoring(RescoreBody(bundle=tiny_detector.digest, is_dry_run=True))
    last = list(client.follow_job(job.id))[-1]

    assert last.status is JobState.DONE
    assert last.done + last.skipped == last.total >= 1
    assert list(client.list_flips(job.id)) == []
    assert client.fetch_job(job.id).status is JobState.DONE


def test_a_bundle_that_the_service_does_not_know_is_refused(client):
    with pytest.raises(BundleNotRegistered):
        client.start_rescoring(RescoreBody(bundle=BUNDLE))
