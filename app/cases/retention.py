"""How long cases are kept: those past their time are deleted, each with its audit entry."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.cases.repository import CaseRepository
from app.cases.service import delete_case
from app.errors import CaseNotFound
from app.storage.database import Database

ACTOR = "retention"
_PAGE = 200


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """Days after which cases are deleted; None keeps them.

    `flagged_days` holds for cases that are anomalous or that somebody reviewed, `days` for all
    others.
    """

    days: int | None
    flagged_days: int | None

    @property
    def is_on(self) -> bool:
        """Something is ever deleted."""
        return self.days is not None or self.flagged_days is not None


def expire_cases(database: Database, rules: RetentionRules, now: datetime) -> int:
    """Delete the cases past their time and count them; a case not scored yet stays.

    Each is a transaction of its own, so that nobody waits for long; one that was deleted or
    changed meanwhile is left alone.
    """
    deleted = 0
    for days, is_flagged in ((rules.days, False), (rules.flagged_days, True)):
        if days is not None:
            deleted += _expire(database, now - timedelta(days=days), now, is_flagged=is_flagged)
    return deleted


def _expire(database: Database, before: datetime, now: datetime, *, is_flagged: bool) -> int:
    deleted = 0
    while True:
        with database.reading() as session:
            found = CaseRepository(session).list_expired(before, _PAGE, is_flagged=is_flagged)
        for case_id in found:
            with database.transaction() as session:
                try:
                    case = CaseRepository(session).lock_case(case_id)
                except CaseNotFound:
                    continue
                if CaseRepository(session).is_expired(case.id, before, is_flagged=is_flagged):
                    delete_case(session, case_id, ACTOR, now)
                    deleted += 1
        if len(found) < _PAGE:
            return deleted
