"""Numbers for Prometheus: no names, no identifiers, labels from short fixed lists only."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from app.analysis.engine import EngineState
from app.analysis.tasks import ScoringLine
from app.cases.tables import CaseRow, FindingRow
from app.errors import StorageError
from app.middleware import AnswerFacts
from app.monitoring.desk import MonitoringDesk

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


# How many jobs are open, dry runs aside, and how many of their cases are not settled.
MeasureJobs = Callable[[], tuple[int, int]]


class Metrics:
    """The counters of one application."""

    def __init__(self, line: ScoringLine) -> None:
        self._registry = CollectorRegistry()
        self._answers = Histogram(
            "aegle_request_seconds",
            "Duration of requests.",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._findings = Counter(
            "aegle_findings", "Findings made.", ["verdict"], registry=self._registry
        )
        self._changes = Counter(
            "aegle_job_changes",
            "Verdicts that jobs changed in what cases show.",
            ["verdict"],
            registry=self._registry,
        )
        self._delays = Histogram(
            "aegle_case_seconds",
            "From acknowledged to scored.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry.register(_LineCollector(line))

    def watch(self, desk: MonitoringDesk) -> None:
        """Tell from now on what monitoring says of the live bundle."""
        self._registry.register(_MonitoringCollector(desk))

    def watch_jobs(self, measure: MeasureJobs) -> None:
        """Tell from now on what is left of jobs."""
        self._registry.register(_JobCollector(measure))

    def count_change(self, _session: Session, _case: CaseRow, finding: FindingRow) -> None:
        """Count a verdict that a job changed."""
        self._changes.labels(finding.verdict).inc()

    def count_answer(self, facts: AnswerFacts) -> None:
        """Count an answered request by the template of its route."""
        route = facts.route or "none"
        self._answers.labels(facts.method, route, str(facts.status or 0)).observe(facts.duration_s)

    def count_finding(self, _session: Session, case: CaseRow, finding: FindingRow) -> None:
        """Count a finding that is shown."""
        self._findings.labels(finding.verdict).inc()
        self._delays.observe((finding.made_at - case.received_at).total_seconds())

    def write(self) -> bytes:
        """Give the numbers of this moment in Prometheus' text format."""
        return generate_latest(self._registry)


class _LineCollector(Collector):
    """What is read at the moment it is asked for."""

    def __init__(self, line: ScoringLine) -> None:
        self._line = line

    def collect(self) -> Iterator[Metric]:
        """Give the state of line and engine."""
        engine = self._line.engine
        yield GaugeMetricFamily("aegle_cases_waiting", "Cases on the line.", self._line.case_count)
        yield GaugeMetricFamily(
            "aegle_scans_queued", "Decoded scans before the engine.", engine.waiting_count
        )
        shadows = self._line.shadows
        yield GaugeMetricFamily(
            "aegle_shadows_waiting",
            "Cases the candidate has still to score.",
            shadows.waiting_count,
        )
        yield CounterMetricFamily(
            "aegle_shadows_missed", "Tries of the candidate that failed.", shadows.missed_count
        )
        state = GaugeMetricFamily(
            "aegle_engine_state", "1 for the present state.", labels=["state"]
        )
        for name in EngineState:
            state.add_metric([name.value], float(engine.status.state is name))
        yield state


class _JobCollector(Collector):
    """What is left of jobs that are no dry runs."""

    def __init__(self, measure: MeasureJobs) -> None:
        self._measure = measure

    def describe(self) -> Iterator[Metric]:
        """Name nothing before the first question: the database is asked then."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Give counts of jobs and of their cases."""
        try:
            open_count, left_count = self._measure()
        except StorageError:
            return
        yield GaugeMetricFamily("aegle_jobs_open", "Jobs that wait or run.", open_count)
        yield GaugeMetricFamily(
            "aegle_job_cases_left", "Cases that jobs have still to settle.", left_count
        )


class _MonitoringCollector(Collector):
    """What the live bundle does against what it promised; some minutes old at most."""

    def __init__(self, desk: MonitoringDesk) -> None:
        self._desk = desk

    def describe(self) -> Iterator[Metric]:
        """Name nothing before the first question: the database is asked then."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Give shares by kind of scan, and martingales."""
        try:
            view = self._desk.glance()
        except StorageError:
            return
        flagged = GaugeMetricFamily(
            "aegle_alert_share", "Flagged among judged patients.", labels=["kind"]
        )
        promised = GaugeMetricFamily(
            "aegle_promised_share", "Most of the healthy that are flagged.", labels=["kind"]
        )
        for scores in view.scores:
            if scores.alerts.share is not None:
                flagged.add_metric([scores.kind], scores.alerts.share)
            if scores.promised_share is not None:
                promised.add_metric([scores.kind], scores.promised_share)
        capital = GaugeMetricFamily(
            "aegle_martingale_log10",
            "log10 of the capital against exchangeability.",
            labels=["against"],
        )
        alarm = GaugeMetricFamily(
            "aegle_martingale_alarm", "1 once it reached its bound.", labels=["against"]
        )
        for bet in view.martingales:
            capital.add_metric([bet.against], bet.log10_now)
            alarm.add_metric([bet.against], float(bet.is_alarm))
        yield from (flagged, promised, capital, alarm)
