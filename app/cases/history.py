"""All that was ever said of a case; what the candidate says is for administrators alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from app.audit.repository import AuditRepository
from app.audit.service import Action
from app.audit.tables import AuditEntryRow
from app.cases.repository import CaseRepository
from app.cases.tables import FindingRow, ReviewRow


@dataclass(frozen=True, slots=True)
class CaseHistory:
    """Findings, reviews and audit entries, each oldest first."""

    findings: Sequence[FindingRow]
    reviews: Sequence[ReviewRow]
    audit: Sequence[AuditEntryRow]


def read_history(session: Session, case_id: UUID, hidden: str | None) -> CaseHistory:
    """Gather the history of a case.

    Args:
        session: a reading session.
        case_id: which case.
        hidden: digest of the candidate, for those who may not see what it says; what it said when
            it was live is shown all the same. None hides nothing.

    Raises:
        CaseNotFound: there is none.
    """
    repository = CaseRepository(session)
    case = repository.get_case(case_id)
    findings = repository.list_findings(case_id)
    audit = AuditRepository(session).list_of_subject(f"case:{case_id}")
    if hidden is not None:
        own = [entry for entry in audit if _is_scoring(entry, hidden)]
        if case.bundle_digest != hidden and not any(entry.detail["shown"] for entry in own):
            findings = [row for row in findings if row.bundle_digest != hidden]
        audit = [entry for entry in audit if not (entry in own and not entry.detail["shown"])]
    return CaseHistory(findings, repository.list_reviews(case_id), audit)


def _is_scoring(entry: AuditEntryRow, bundle: str) -> bool:
    return entry.action == Action.CASE_SCORED and entry.detail.get("bundle") == bundle
