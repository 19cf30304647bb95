"""What is handed between the parts of a job: the order, a leased chunk, what came of a case."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.cases.orders import NewFinding
from app.cases.worklist import CaseFilter
from app.storage.blobs import StoredBlob


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be planned; `selection` is the filter as it was sent."""

    bundle_digest: str
    filter: CaseFilter
    selection: dict[str, Any]
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
