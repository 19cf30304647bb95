"""A finding in the database to its DICOM objects in the index, in the study of its scan."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from app.analysis.decoders import Decoders
from app.analysis.maps import unpack_map
from app.bundles.repository import BundleRepository
from app.cases.repository import CaseRepository
from app.cases.tables import CaseRow, FindingRow, InstanceRow
from app.dicom.errors import NothingToTell
from app.dicom.job_repository import JobRepository
from app.dicom.job_states import JobState
from app.dicom.report_facts import ReportedFinding, ReportKind, ReportOrder
from app.dicom.report_objects import encode_report
from app.dicom.reports import build_reports
from app.dicom.sameness import is_same_object
from app.dicom.tables import DicomInstanceRow, ReportJobRow
from app.dicom.wrapping import WrapFacts, wrap_scan
from app.storage.opening import Storage
from models.decoding.foreign import translate_foreign
from models.decoding.scan import DecodedScan

# Keeps the file of an object and puts it into the index, once.
KeepObject = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class ReportRules:
    """Which objects are made, whether pictures are wrapped, and which release made them."""

    kinds: frozenset[ReportKind]
    wraps_pictures: bool
    software: str


@dataclass(frozen=True, slots=True)
class _Told:
    """What is read from the database for one finding."""

    case: CaseRow
    finding: FindingRow
    files: Sequence[InstanceRow]
    objects: dict[str, DicomInstanceRow]  # by UID
    bundle_name: str
    earlier: UUID | None


class ReportMaker:
    """Makes the objects of findings; the same finding gives the same ones."""

    def __init__(
        self, storage: Storage, decoders: Decoders, keep: KeepObject, rules: ReportRules
    ) -> None:
        self._storage = storage
        self._decoders = decoders
        self._keep = keep
        self._rules = rules

    def make(self, finding_id: UUID) -> list[str]:
        """Make and keep the objects of a finding, and give their UIDs.

        Raises:
            NothingToTell: the scan is no DICOM and is not wrapped, or it has grown since.
            AegleError: something is not there, at the moment or for good.
        """
        with self._storage.database.reading() as session:
            told = _read(session, finding_id)
        order = self._order(told)
        # What was wrapped for this goes the way of the results: to the targets, and with its case.
        files = {row.sop_uid for row in told.files}
        made = [uid for uid in _list_uids(order.headers) if uid not in files]
        for report in build_reports(order, self._rules.kinds):
            self._keep(report.content)
            made.append(str(report.dataset.SOPInstanceUID))
        return made

    def _order(self, told: _Told) -> ReportOrder:
        finding, store = told.finding, self._storage.blobs
        error_map = None
        if finding.error_map_sha256 is not None:
            error_map = unpack_map(store.read(finding.error_map_sha256))
        names = [row.sha256 for row in told.files]
        scan = self._decoders.decode([store.find_path(name) or store.read(name) for name in names])
        if error_map is not None and error_map.shape != scan.pixels.shape:
            raise NothingToTell
        return ReportOrder(
            finding=_tell(told, self._rules.software),
            scan=scan,
            error_map=error_map,
            headers=self._find_headers(told, scan),
        )

    def _find_headers(self, told: _Told, scan: DecodedScan) -> tuple[Dataset, ...]:
        if all(self._is_indexed(file, told) for file in told.files):
            return tuple(_read_header(told.objects[file.sop_uid or ""]) for file in told.files)
        if scan.format == "dicom" or not self._rules.wraps_pictures:
            raise NothingToTell
        wrapped = wrap_scan(scan, _describe(told.case, self._rules.software))
        for dataset in wrapped:
            self._keep(encode_report(dataset))
        return tuple(wrapped)

    def _is_indexed(self, file: InstanceRow, told: _Told) -> bool:
        """Tell whether the object of a file's name is that file, whichever way each came."""
        row = told.objects.get(file.sop_uid or "")
        return row is not None and is_same_object(self._storage.blobs, row.sha256, file.sha256)


def _list_uids(headers: Sequence[Dataset]) -> list[str]:
    return [str(header.SOPInstanceUID) for header in headers]


def order_report(session: Session, case: CaseRow, finding: FindingRow) -> None:
    """Write down that a finding is to be told, inside the transaction that keeps it."""
    repository = JobRepository(session)
    if repository.find_report(finding.id) is None:
        repository.add(
            ReportJobRow(
                finding_id=finding.id,
                case_id=case.id,
                state=JobState.WAITING,
                attempt_count=0,
                object_count=0,
                due_at=finding.made_at,
            )
        )


def _read(session: Session, finding_id: UUID) -> _Told:
    finding = session.get(FindingRow, finding_id)
    if finding is None:
        raise NothingToTell
    cases, jobs = CaseRepository(session), JobRepository(session)
    case = cases.get_case(finding.case_id)
    files = cases.list_instances(case.id)
    found = jobs.get_instances([file.sop_uid for file in files if file.sop_uid is not None])
    bundle = BundleRepository(session).find(finding.bundle_digest)
    earlier = finding.supersedes_id and jobs.find_report(finding.supersedes_id)
    return _Told(
        case=case,
        finding=finding,
        files=files,
        objects={row.sop_uid: row for row in found},
        bundle_name=bundle.name if bundle else finding.bundle_digest[:12],
        earlier=earlier.finding_id if earlier and earlier.state == JobState.DONE else None,
    )


def _tell(told: _Told, software: str) -> ReportedFinding:
    finding = told.finding
    return ReportedFinding(
        id=finding.id,
        made_at=finding.made_at,
        bundle_name=told.bundle_name,
        bundle_digest=finding.bundle_digest,
        verdict=finding.verdict,
        score=finding.score,
        p_value=finding.p_value,
        threshold=finding.threshold,
        reason=finding.reason,
        slice_scores=tuple(finding.slice_scores),
        regions=tuple(finding.regions),
        earlier=told.earlier,
        software=software,
    )


def _describe(case: CaseRow, software: str) -> WrapFacts:
    return WrapFacts(
        case_id=case.id,
        received_at=case.received_at,
        patient_id=case.patient_id or "",
        patient_name=case.patient_name or "",
        accession=(case.accession or "")[:16],
        description=(case.description or "")[:64],
        software=software,
    )


def _read_header(row: DicomInstanceRow) -> Dataset:
    with translate_foreign("the DICOM header"):
        told = json.loads(row.attributes)
        return Dataset.from_json(
            {tag: value for tag, value in told.items() if "BulkDataURI" not in value}
        )
