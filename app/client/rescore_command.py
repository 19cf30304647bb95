"""`aegle rescore`: stored cases scored again under another bundle, by the running service."""

from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.auth.permissions import Permission
from app.batch.schemas import FlipView, JobView, RescoreBody
from app.batch.states import ENDED, JobState
from app.client.client import AegleClient
from app.client.options import (
    PATIENCE_S,
    AllowHttp,
    AsJson,
    PatienceS,
    Url,
    check_caller,
    open_client,
)
from app.errors import InvalidRequest

NOT_DONE_STATUS = 2


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rescore")(rescore)


def rescore(
    url: Url,
    bundle: Annotated[str | None, typer.Option(help="Digest of the bundle to score by.")] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="KEY=VALUE", help="As in the worklist; may repeat."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell which verdicts would change, keep nothing.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Watch it to its end.")] = False,
    job: Annotated[UUID | None, typer.Option(help="Follow this job, start none.")] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="End the job given by --job.")] = False,
    as_json: AsJson = False,
    patience: PatienceS = PATIENCE_S,
    allow_http: AllowHttp = False,
) -> None:
    """Score stored cases again under a bundle; the key comes from the environment, as of push.

    A followed job ends with the table of the cases whose verdict changes. Ctrl-C ends the watching,
    not the job. Exit status 0 when the job is done or goes on; 2 when it failed or was cancelled.

    Examples:

        aegle rescore --url https://aegle.example.org --bundle DIGEST --filter modality=MR --follow

        aegle rescore --url http://127.0.0.1:8080 --job JOB --cancel
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    body = _build_body(bundle, filters or [], job, is_dry_run=dry_run, cancels=cancel)
    with open_client(url, patience, console, allows_http=allow_http) as client:
        check_caller(client, Permission.READ_JOBS if job and not cancel else Permission.RUN_JOBS)
        view = _choose_job(client, body, job, cancels=cancel)
        if follow or job is not None:
            view = _follow(client, view, console)
        _tell(client, view, as_json=as_json)
    if view.status in {JobState.FAILED, JobState.CANCELLED} and not cancel:
        raise typer.Exit(NOT_DONE_STATUS)


def _build_body(
    bundle: str | None, filters: Iterable[str], job: UUID | None, *, is_dry_run: bool, cancels: bool
) -> RescoreBody | None:
    """Read what is to be started; None where a job is followed or cancelled.

    Raises:
        InvalidRequest: neither a bundle nor a job, both, or a filter that is not one.
    """
    if (bundle is None) == (job is None):
        raise InvalidRequest("give --bundle to start a job, or --job to follow one")
    if cancels and job is None:
        raise InvalidRequest("--cancel needs --job")
    if bundle is None:
        return None
    pairs = [text.partition("=") for text in filters]
    try:
        return RescoreBody.model_validate(
            {
                "bundle": bundle,
                "filter": {key: value for key, _, value in pairs},
                "is_dry_run": is_dry_run,
            }
        )
    except ValidationError as error:
        names = {".".join(str(part) for part in item["loc"]) for item in error.errors()}
        raise InvalidRequest(f"cannot be used: {', '.join(sorted(names))}") from None


def _choose_job(
    client: AegleClient, body: RescoreBody | None, job: UUID | None, *, cancels: bool
) -> JobView:
    if body is not None:
        return client.start_rescoring(body)
    if job is None:
        raise InvalidRequest("give --bundle to start a job, or --job to follow one")
    return client.cancel_job(job) if cancels else client.fetch_job(job)


def _follow(client: AegleClient, view: JobView, console: Console) -> JobView:
    """Show a bar until the job has ended.

    Raises:
        KeyboardInterrupt: the caller has seen enough; the job goes on.
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[counts]}"),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("rescore", total=None, rate="", counts="")
        try:
            for seen in client.follow_job(view.id):
                view = seen
                bar.update(
                    task,
                    description=seen.status.value,
                    total=seen.total,
                    completed=seen.done + seen.failed + seen.skipped,
                    rate=f"{seen.rate_per_s:.1f}/s" if seen.rate_per_s else "",
                    counts=f"flips {seen.flips}  failed {seen.failed}",
                )
        except KeyboardInterrupt:
            console.print(f"The job goes on; follow it again with --job {view.id}", markup=False)
            raise
    return view


def _tell(client: AegleClient, view: JobView, *, as_json: bool) -> None:
    """Print the job and, once it has ended, its flips: JSON lines, or a table and a sentence."""
    flips = client.list_flips(view.id) if view.status in ENDED and view.flips else iter(())
    if as_json:
        typer.echo(view.model_dump_json())
        for flip in flips:
            typer.echo(flip.model_dump_json())
        return
    if view.status in ENDED and view.flips:
        Console(highlight=False).print(_draw_table(flips))
    typer.echo(describe_job(view))


def describe_job(view: JobView) -> str:
    """Give one line about a job."""
    word = "dry run" if view.is_dry_run else "job"
    reason = f": {view.reason}" if view.reason else ""
    return (
        f"{word} {view.id} {view.status.value}{reason}; {view.done} scored, {view.flips} flips,"
        f" {view.skipped} skipped, {view.failed} failed, of {view.total} cases"
    )


def _draw_table(flips: Iterable[FlipView]) -> Table:
    table = Table("case", "before", "score", "after", "score", title="verdicts that change")
    for flip in flips:
        before, after = flip.before, flip.after
        table.add_row(
            str(flip.case),
            before.verdict,
            _write_score(before.score),
            after.verdict,
            _write_score(after.score),
        )
    return table


def _write_score(score: float | None) -> str:
    return "" if score is None else f"{score:.3f}"
