"""What is handed between the parts of a job: the order, a leased chunk, what came of a case."""

from dataclasses import dataclass
from uuid import UUID

from app.cases.orders import NewFinding
from app.cases.schemas import CaseSelection
from app.storage.blobs import StoredBlob


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be planned over the cases of a selection."""

    bundle_digest: str
    selection: CaseSelection
    is_dry_run: bool
    by: str


@dataclass(frozen=True, slots=True)
class Lease:
    """A chunk that one owner may settle, for as long as the lease is renewed."""

    job_id: UUID
    number: int
    owner: str
    case_ids: tuple[UUID, ...]
    bundle_digest: str
    is_dry_run: bool


@dataclass(frozen=True, slots=True)
class ScoredCase:
    """What came of a case: a finding whose maps are on disk, or the code of its failure."""

    case_id: UUID
    finding: NewFinding | None
    blobs: tuple[StoredBlob, ...] = ()
    failure_code: str = ""
