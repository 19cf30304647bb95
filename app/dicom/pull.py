"""Objects fetched from another server by WADO-RS, into a folder."""

import hashlib
from pathlib import Path

import httpx2
from pydicom.uid import UID

from app.dicom.errors import PeerRefused, PeerUnreachable
from app.dicom.media import DICOM
from app.dicom.multipart_reading import read_parts
from app.errors import InvalidRequest


def pull_objects(
    client: httpx2.Client, study_uid: str, series_uid: str | None, folder: Path
) -> int:
    """Fetch the objects of a study, or of a series of it, and count them.

    Files are named by the digest of their bytes: nothing the server says becomes a path.

    Raises:
        InvalidRequest: a UID has not the form of one.
        PeerUnreachable: the server gives no answer that can be understood.
        PeerRefused: it answers that it will not, or has no such study.
    """
    if not all(
        UID(uid, validation_mode=0).is_valid for uid in (study_uid, series_uid or study_uid)
    ):
        raise InvalidRequest("a UID has digits and dots only, at most 64")
    path = f"studies/{study_uid}" + (f"/series/{series_uid}" if series_uid else "")
    accept = f'multipart/related; type="{DICOM}"; transfer-syntax=*'
    try:
        answer = client.get(path, headers={"Accept": accept})
    except httpx2.HTTPError as error:
        raise PeerUnreachable from error
    if not answer.is_success:
        raise PeerRefused(f"the server answered {answer.status_code}")
    parts = read_parts(answer.headers.get("content-type", ""), answer.content)
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        name = hashlib.sha256(part.content).hexdigest()[:32]
        (folder / f"{name}.dcm").write_bytes(part.content)
    return len(parts)
