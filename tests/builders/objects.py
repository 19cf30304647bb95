"""DICOM objects put into the index of a service, as if they had been sent."""

import hashlib
import io
import json
from datetime import datetime
from typing import Any

import pydicom
from sqlalchemy.orm import Session

from app.dicom.repository import DicomRepository, SeriesName
from app.dicom.tables import DicomInstanceRow, DicomSeriesRow, DicomStudyRow
from app.storage.blobs import BlobStore
from app.storage.identifiers import draw_id
from app.storage.service import register_blob


def index_object(
    session: Session, store: BlobStore, content: bytes, at: datetime, **changes: Any
) -> DicomInstanceRow:
    """Keep a file and index it; `changes` are columns of its row."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    told = dataset.to_json_dict(suppress_invalid_tags=True)
    told.pop("7FE00010", None)
    told.pop("7FE00008", None)
    study = {tag: told[tag] for tag in sorted(told) if tag[:4] == "0010" or tag == "0020000D"}
    level = {tag: told[tag] for tag in ("00080060", "0020000E", "00200011") if tag in told}
    blob = store.write(content)
    register_blob(session, store, blob, at)
    repository = DicomRepository(session)
    repository.keep_series(
        DicomStudyRow(
            study_uid=dataset.StudyInstanceUID,
            patient_id=str(dataset.get("PatientID", "")) or None,
            patient_name=str(dataset.get("PatientName", "")) or None,
            accession=str(dataset.get("AccessionNumber", "")) or None,
            study_date=str(dataset.get("StudyDate", "")) or None,
            attributes=json.dumps(study),
            received_at=at,
        ),
        DicomSeriesRow(
            id=draw_id(at),
            study_uid=dataset.StudyInstanceUID,
            series_uid=dataset.SeriesInstanceUID,
            modality=dataset.get("Modality"),
            number=int(dataset.get("SeriesNumber") or 0),
            sender="key:1",
            sender_name="tool",
            channel="dicomweb",
            attributes=json.dumps(level),
            received_at=at,
        ),
    )
    series = repository.find_series(SeriesName(dataset.StudyInstanceUID, dataset.SeriesInstanceUID))
    assert series is not None
    values = {
        "id": draw_id(at),
        "series_id": series.id,
        "study_uid": dataset.StudyInstanceUID,
        "series_uid": dataset.SeriesInstanceUID,
        "sop_uid": dataset.SOPInstanceUID,
        "sop_class_uid": dataset.SOPClassUID,
        "transfer_syntax_uid": dataset.file_meta.TransferSyntaxUID,
        "number": int(dataset.get("InstanceNumber") or 0),
        "rows": dataset.get("Rows"),
        "columns": dataset.get("Columns"),
        "frame_count": int(dataset.get("NumberOfFrames") or 1),
        "is_scan": True,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
        "attributes": json.dumps(told),
        "received_at": at,
    }
    row = DicomInstanceRow(**(values | changes))
    repository.add_instance(row)
    return row
