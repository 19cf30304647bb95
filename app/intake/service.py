"""Taking a scan in: what is answered is on disk, and what cannot be read is refused.

A single file is decoded before it is acknowledged, so that hostile or broken bytes are told at
once and leave nothing behind. The scans of an archive are listed before, and decoded after; one
that cannot be read is set aside with its reason, the others go on.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.analysis.tasks import ScoringLine
from app.audit.service import Action, Event, record_event
from app.auth.permissions import Permission, Principal
from app.cases.orders import LeftOut, NewCase, NewInstance, NewUpload
from app.cases.repository import CaseRepository
from app.cases.schemas import CaseDetail
from app.cases.service import add_instances, keep_upload, open_case
from app.cases.states import CaseState, Channel
from app.cases.tables import CaseRow, InstanceRow, UploadRow
from app.clock import Clock
from app.errors import (
    BlobNotFound,
    BlobStoreUnavailable,
    CaseNotFound,
    DuplicateObject,
    EngineError,
)
from app.intake.contents import Content, ContentReader
from app.intake.facts import merge_facts
from app.intake.objects import KEPT_UNSCORED, UploadPlace
from app.intake.schemas import FileReceipt, Receipt, UploadFields
from app.intake.unpacker import UnpackedFile, UnpackedScan
from app.storage.blobs import BlobDraft
from app.storage.grouping import GroupedWriter
from app.storage.opening import Storage
from app.storage.service import register_blob
from models.decoding.scan import DecodedScan

_TRIES = 3
_SETTLED = {CaseState.SCORED, CaseState.QUARANTINED}


@dataclass(frozen=True, slots=True)
class Offer:
    """An upload whose bytes are written aside."""

    draft: BlobDraft
    sender: Principal
    channel: Channel
    fields: UploadFields
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """An upload that is on disk, its cases, and whether it was known before."""

    upload_id: UUID
    case_ids: tuple[UUID, ...]
    is_known: bool


class Intake:
    """The one way for scans into the service."""

    def __init__(
        self, storage: Storage, reader: ContentReader, line: ScoringLine, clock: Clock
    ) -> None:
        self.storage = storage
        self.line = line
        self._reader = reader
        self._clock = clock
        self._writer = GroupedWriter(storage.database)

    def accept(self, offer: Offer) -> Accepted:
        """Take an upload in; its bytes and its cases are on disk when this returns.

        Raises:
            DecodeError: the bytes give no scan; nothing was kept.
            IdempotencyConflict: the key came with other bytes before.
            StorageError: it cannot be kept at the moment.
        """
        known = self._find_known(offer)
        if known is not None:
            return known
        content = self._reader.read(offer.draft)
        accepted = self._keep(offer, content)
        if not accepted.is_known:
            self._pass_on(accepted, content.decoded)
        return accepted

    def describe(self, upload_id: UUID, caller: Principal, *, is_known: bool) -> Receipt:
        """Tell what came of an upload.

        Raises:
            CaseNotFound: there is none, or it is another sender's and the caller reads no cases.
        """
        with self.storage.database.reading() as session:
            upload = session.get(UploadRow, upload_id)
            is_own = upload is not None and upload.sender == caller.id
            if upload is None or not (is_own or caller.may(Permission.READ_CASES)):
                raise CaseNotFound("there is no such upload")
            return _build_receipt(CaseRepository(session), upload, is_known=is_known)

    def _find_known(self, offer: Offer) -> Accepted | None:
        with self.storage.database.reading() as session:
            repository = CaseRepository(session)
            upload = repository.find_sent(offer.sender.id, offer.draft.sha256)
            # A key that came with other bytes before is refused where the upload is kept.
            if upload is None or offer.idempotency_key not in {None, upload.idempotency_key}:
                return None
            return _describe_known(repository, upload)

    def _keep(self, offer: Offer, content: Content) -> Accepted:
        """Commit the upload; a race with the collector or with the same upload is run again."""
        for last in (False,) * (_TRIES - 1) + (True,):
            try:
                return self._writer.run(lambda session: self._insert(session, offer, content))
            except BlobNotFound as error:
                if last:
                    raise BlobStoreUnavailable from error
            except IntegrityError:
                if last:
                    raise
        raise BlobStoreUnavailable

    def _insert(self, session: Session, offer: Offer, content: Content) -> Accepted:
        at = self._clock.now()
        store = self.storage.blobs
        for blob in content.list_blobs():
            register_blob(session, store, blob, at)
        new = NewUpload(
            offer.sender.id,
            content.blob.sha256,
            content.blob.size_bytes,
            offer.idempotency_key,
            content.left_out,
            content.sent_sha256,
        )
        upload, is_new = keep_upload(session, new, at)
        if not is_new:
            return _describe_known(CaseRepository(session), upload)
        rows = []
        for scan in content.scans:
            case = open_case(session, _describe_case(offer, scan, content, self.line.owner), at)
            files = [_describe_file(upload.id, file) for file in scan.files]
            rows += add_instances(session, case, files, at)
        _index_objects(session, offer, upload, content, rows)
        case_ids = tuple(dict.fromkeys(row.case_id for row in rows))
        self._record(session, offer, upload, len(case_ids), at)
        return Accepted(upload.id, case_ids, is_known=False)

    def _record(
        self, session: Session, offer: Offer, upload: UploadRow, case_count: int, at: datetime
    ) -> None:
        detail = {"channel": offer.channel.value, "cases": case_count, "sha256": upload.sha256}
        event = Event(offer.sender.id, Action.SCAN_ACCEPTED, f"upload:{upload.id}", detail)
        record_event(session, event, at)

    def _pass_on(self, accepted: Accepted, decoded: DecodedScan | None) -> None:
        if decoded is None:
            self.line.score_stored(accepted.case_ids)
            return
        try:
            self.line.score_decoded(accepted.case_ids[0], decoded)
        except EngineError:
            return  # accepted all the same: the next start scores it


def _index_objects(
    session: Session,
    offer: Offer,
    upload: UploadRow,
    content: Content,
    rows: Sequence[InstanceRow],
) -> None:
    """Index the objects of an upload, and note which cannot be.

    Raises:
        DuplicateObject: all that came are objects that are not scored, and others of their names
            are there.
    """
    at = upload.received_at
    scored = {row.sha256: row for row in rows}
    codes: dict[str, str | None] = {}
    for sha256, found in sorted(content.objects.items(), key=lambda item: item[1].name):
        row = scored.get(sha256)
        place = UploadPlace(offer.sender, upload.id, row.case_id if row else None, at)
        codes[sha256] = found.keep(session, place)
        if row is not None:
            row.index_code = codes[sha256]
    if content.beside and not rows and all(codes[file.blob.sha256] for file in content.beside):
        raise DuplicateObject
    left_out = [
        LeftOut(file.label, file.blob.sha256, codes[file.blob.sha256] or KEPT_UNSCORED)
        for file in content.beside
    ]
    upload.left_out = [*upload.left_out, *(asdict(each) for each in left_out)]
    session.flush()


def _describe_known(repository: CaseRepository, upload: UploadRow) -> Accepted:
    cases = repository.list_upload_cases(upload.id)
    return Accepted(upload.id, tuple(case.id for case in cases), is_known=True)


def _describe_case(offer: Offer, scan: UnpackedScan, content: Content, owner: str) -> NewCase:
    fields = offer.fields
    if content.sent_sha256 is not None:  # what else is said beside a file may name its patient
        fields = UploadFields(modality=fields.modality)
    facts = merge_facts(scan.files[0].identity, fields, content.decoded)
    return NewCase(offer.sender.id, offer.sender.name, offer.channel, facts, owner=owner)


def _describe_file(upload_id: UUID, file: UnpackedFile) -> NewInstance:
    return NewInstance(
        upload_id=upload_id,
        sha256=file.blob.sha256,
        size_bytes=file.blob.size_bytes,
        sop_class_uid=file.identity.sop_class_uid,
        sop_uid=file.identity.sop_uid,
        label=file.label or None,
    )


def _build_receipt(repository: CaseRepository, upload: UploadRow, *, is_known: bool) -> Receipt:
    cases = [_build_case(repository, case) for case in repository.list_upload_cases(upload.id)]
    return Receipt(
        upload_id=upload.id,
        sha256=upload.sent_sha256 or upload.sha256,
        size_bytes=upload.size_bytes,
        received_at=upload.received_at,
        is_known=is_known,
        is_done=all(case.state in _SETTLED for case in cases),
        cases=cases,
        files=_list_files(repository, upload, cases),
    )


def _list_files(
    repository: CaseRepository, upload: UploadRow, cases: Sequence[CaseDetail]
) -> list[FileReceipt]:
    """Tell what came of every file of an upload; a case may hold files of other uploads too."""
    places = repository.list_upload_places(upload.id)
    files = [
        FileReceipt(
            **file.model_dump(exclude={"position", "failure_code"}),
            case_id=case.id,
            verdict=case.verdict,
            failure_code=file.failure_code or case.failure_code,
        )
        for case in cases
        for file in case.files
        if (case.id, file.position) in places
    ]
    return files + [_tell_left_out(each, files) for each in upload.left_out]


def _tell_left_out(left_out: dict[str, Any], files: Sequence[FileReceipt]) -> FileReceipt:
    """Tell why a file is part of no case; a copy is found in the case of its like."""
    like = next((file for file in files if file.sha256 == left_out["sha256"]), None)
    return FileReceipt(
        label=left_out["label"] or None,
        sha256=left_out["sha256"],
        size_bytes=like.size_bytes if like else None,
        case_id=like.case_id if like else None,
        verdict=like.verdict if like else None,
        slice_index=None,
        slice_count=None,
        slice_score=None,
        failure_code=left_out["code"],
    )


def _build_case(repository: CaseRepository, case: CaseRow) -> CaseDetail:
    digest = case.bundle_digest
    finding = None if digest is None else repository.find_finding(case.id, digest)
    return CaseDetail.build(case, repository.list_instances(case.id), finding)
