"""From settings to what sends findings out as DICOM objects; nothing is started yet."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from sqlalchemy.orm import Session

from app.analysis.tasks import ScoringLine
from app.cases.tables import CaseRow, FindingRow
from app.clock import Clock
from app.dicom.push import ObjectSender, parse_targets
from app.dicom.push_tasks import Pusher
from app.dicom.receiving import Receiver
from app.dicom.report_facts import ReportKind
from app.dicom.report_keeping import keep_result
from app.dicom.report_making import ReportMaker, ReportRules, order_report
from app.dicom.report_tasks import Reporter
from app.settings import Settings
from app.storage.opening import Storage

_STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What makes objects of findings, and what sends them."""

    reporter: Reporter
    pusher: Pusher
    rules: ReportRules

    def start(self) -> None:
        """Start the threads."""
        if self.rules.kinds:
            self.reporter.start()
        self.pusher.start()

    def stop(self) -> None:
        """End the threads; what waits is done after the next start."""
        self.reporter.stop(_STOP_S)
        self.pusher.stop()

    def announce(self, session: Session, case: CaseRow, finding: FindingRow) -> None:
        """Write down, in the transaction that keeps a finding, that it is to be told."""
        is_told = case.study_uid is not None or self.rules.wraps_pictures
        if self.rules.kinds and is_told:
            order_report(session, case, finding)


def open_outgoing(
    settings: Settings,
    storage: Storage,
    line: ScoringLine,
    receiver: Receiver,
    clock: Clock,
    chance: Callable[[], float],
) -> Outgoing:
    """Put reporter and pusher together.

    Raises:
        SettingsError: a push target cannot be one.
    """
    tokens = {name: token.get_secret_value() for name, token in settings.push_tokens.items()}
    targets = parse_targets(settings.push_targets, tokens, settings.push_deidentified)
    rules = ReportRules(
        kinds=frozenset(ReportKind(kind) for kind in settings.dicom_results),
        wraps_pictures=settings.wrap_pictures,
        software=version("aegle"),
    )
    maker = ReportMaker(storage, line.decoders, partial(keep_result, receiver), rules)
    names = tuple(target.name for target in targets)
    return Outgoing(
        reporter=Reporter(storage.database, maker, names, clock, chance),
        pusher=Pusher(storage, ObjectSender(settings.dicom_ae_title), targets, clock, chance),
        rules=rules,
    )
