"""Rows of the index to DICOM JSON (PS3.18 F)."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.dicom.queries import Level, Search
from app.dicom.search_repository import FoundRow, SearchRepository

Attributes = dict[str, Any]

# PS3.18 table 10.6.3-5 and what viewers ask next; everything else only when it is asked for.
_INSTANCE_TAGS = (
    "00080005", "00080016", "00080018", "00080056", "00080201", "0020000D", "0020000E", "00200013",
    "00280008", "00280010", "00280011", "00280100", "00080060",
)  # fmt: skip


def list_found(session: Session, search: Search, address: str) -> tuple[list[Attributes], bool]:
    """Give what a search finds, and whether there is more.

    Args:
        session: a reading session.
        search: what is asked for.
        address: where DICOMweb answers, for the links.
    """
    repository = SearchRepository(session)
    rows = repository.search(search)
    page = rows[: search.limit]
    if search.level is Level.STUDY:
        found = _tell_studies(repository, page, address)
    elif search.level is Level.SERIES:
        found = _tell_series(repository, page, address)
    else:
        found = [_tell_instance(row, search, address) for row in page]
    return found, len(rows) > search.limit


def _tell_studies(
    repository: SearchRepository, page: Sequence[FoundRow], address: str
) -> list[Attributes]:
    summaries = repository.summarize_studies([study.study_uid for study, _, _ in page])
    found = []
    for study, _, _ in page:
        modalities, series, instances = summaries.get(study.study_uid, ([], 0, 0))
        told = json.loads(study.attributes)
        told["00080061"] = _element("CS", *modalities)
        told["00201206"] = _element("IS", series)
        told["00201208"] = _element("IS", instances)
        told |= _tell_place(f"{address}/studies/{study.study_uid}")
        found.append(dict(sorted(told.items())))
    return found


def _tell_series(
    repository: SearchRepository, page: Sequence[FoundRow], address: str
) -> list[Attributes]:
    counts = repository.count_instances([series.id for _, series, _ in page if series])
    found = []
    for study, series, _ in page:
        if series is None:
            continue
        told = json.loads(study.attributes) | json.loads(series.attributes)
        told["00201209"] = _element("IS", counts.get(series.id, 0))
        told |= _tell_place(f"{address}/studies/{study.study_uid}/series/{series.series_uid}")
        found.append(dict(sorted(told.items())))
    return found


def _tell_instance(row: FoundRow, search: Search, address: str) -> Attributes:
    _, _, instance = row
    if instance is None:
        return {}
    told: Attributes = json.loads(instance.attributes)
    if search.included is not None:
        wanted = {*_INSTANCE_TAGS, *search.included}
        told = {tag: value for tag, value in told.items() if tag in wanted}
    path = f"studies/{instance.study_uid}/series/{instance.series_uid}/instances/{instance.sop_uid}"
    told |= _tell_place(f"{address}/{path}")
    return dict(sorted(told.items()))


def _tell_place(url: str) -> Attributes:
    return {"00080056": _element("CS", "ONLINE"), "00081190": _element("UR", url)}


def _element(value_representation: str, *values: object) -> Attributes:
    return {"vr": value_representation, **({"Value": list(values)} if values else {})}
