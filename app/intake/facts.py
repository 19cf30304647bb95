"""What is known of a case: from its file first, then from what its sender said."""

from app.cases.orders import CaseFacts
from app.intake.identity import Identity
from app.intake.schemas import UploadFields
from models.decoding.scan import DecodedScan


def merge_facts(identity: Identity, fields: UploadFields, decoded: DecodedScan | None) -> CaseFacts:
    """Take what the file says, and where it says nothing what its sender says."""
    seen_modality = decoded.modality if decoded else None
    return CaseFacts(
        site=identity.site or fields.site,
        modality=identity.modality or seen_modality or fields.modality,
        body_part=identity.body_part or (decoded.body_part if decoded else None),
        device=identity.device,
        patient_id=identity.patient_id or fields.patient_id,
        patient_name=identity.patient_name or fields.patient_name,
        accession=identity.accession or fields.accession,
        description=identity.description or fields.description,
        study_uid=identity.study_uid,
        series_uid=identity.series_uid,
        tags=dict(fields.tags),
    )
