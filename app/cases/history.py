"""All that was ever said of a case; what a candidate said is for administrators alone."""

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


def read_history(session: Session, case_id: UUID, *, with_shadows: bool) -> CaseHistory:
    """Gather the history of a case.

    Raises:
        CaseNotFound: there is none.
    """
    repository = CaseRepository(session)
    case = repository.get_case(case_id)
    findings = repository.list_findings(case_id)
    audit = AuditRepository(session).list_of_subject(f"case:{case_id}")
    if not with_shadows:
        shown = {entry.detail["bundle"] for entry in audit if _is_scoring(entry, shown=True)}
        shown.add(case.bundle_digest)
        findings = [row for row in findings if row.bundle_digest in shown]
        audit = [entry for entry in audit if not _is_scoring(entry, shown=False)]
    return CaseHistory(findings, repository.list_reviews(case_id), audit)


def _is_scoring(entry: AuditEntryRow, *, shown: bool) -> bool:
    return entry.action == Action.CASE_SCORED and entry.detail.get("shown") is shown
