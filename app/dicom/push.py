"""Objects on their way to configured targets, by STOW-RS or C-STORE; nowhere else."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
from pydicom.uid import UID
from pynetdicom import AE
from sqlalchemy.orm import Session

from app.dicom.errors import PeerRefused, PeerUnreachable
from app.dicom.job_repository import JobRepository
from app.dicom.job_states import JobState
from app.dicom.media import (
    DICOM,
    DICOM_JSON,
    AnswerPart,
    draw_boundary,
    name_multipart,
    write_multipart,
)
from app.dicom.sockets import close_sockets_always
from app.dicom.tables import PushRow
from app.errors import SettingsError
from app.storage.identifiers import draw_id
from models.decoding.dicom_dataset import read_dicom
from models.decoding.limits import DecodeLimits

_TIMEOUT_S = 60.0
_DIMSE = "dicom"
_FAILURES = ("00081198", "0008119A")
_WARNING_CLASS = 0xB000


@dataclass(frozen=True, slots=True)
class PushTarget:
    """One PACS: `url` is http(s)://... for STOW-RS, or dicom://AE_TITLE@host:port for C-STORE."""

    name: str
    url: str
    token: str | None = field(default=None, repr=False)
    is_deidentified: bool = False


def parse_targets(
    urls: dict[str, str], tokens: dict[str, str], bare: Sequence[str]
) -> tuple[PushTarget, ...]:
    """Give the configured targets.

    Args:
        urls: address by name.
        tokens: bearer token by name, where one is needed.
        bare: names of those that are sent de-identified objects only.

    Raises:
        SettingsError: an address is none of a target, or a token would go over plain http.
    """
    targets = tuple(
        PushTarget(name, url, tokens.get(name), name in bare) for name, url in urls.items()
    )
    if not {*tokens, *bare} <= urls.keys():
        raise SettingsError("push_tokens and push_deidentified name targets that are not set")
    for target in targets:
        parts = urlsplit(target.url)
        is_stow = parts.scheme in {"http", "https"} and bool(parts.hostname)
        is_dimse = parts.scheme == _DIMSE and bool(parts.username and parts.hostname and parts.port)
        if not (is_stow or is_dimse):
            raise SettingsError(
                f"push target {target.name} must be https://... or dicom://AE_TITLE@host:port"
            )
        if target.token and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise SettingsError(f"push target {target.name}: a token goes over https only")
    return targets


_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def list_pushes(
    session: Session, case_id: UUID, sop_uids: Sequence[str], targets: Sequence[str], at: datetime
) -> list[PushRow]:
    """Give the rows by which objects are sent to targets."""
    return [
        PushRow(
            id=draw_id(at),
            instance_id=row.id,
            case_id=case_id,
            target=target,
            state=JobState.WAITING,
            attempt_count=0,
            made_at=at,
            due_at=at,
        )
        for row, target in JobRepository(session).list_unsent(sop_uids, targets)
    ]


class ObjectSender:
    """Sends one object at a time; follows no redirect, uses no proxy."""

    def __init__(self, ae_title: str, transport: httpx2.BaseTransport | None = None) -> None:
        close_sockets_always()
        self._ae_title = ae_title
        self._client = httpx2.Client(
            timeout=_TIMEOUT_S, trust_env=False, follow_redirects=False, transport=transport
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(self, target: PushTarget, content: bytes) -> None:
        """Send the file of an object.

        Raises:
            PeerUnreachable: the target gives no answer.
            PeerRefused: it will not have it.
        """
        if urlsplit(target.url).scheme == _DIMSE:
            self._send_by_association(target, content)
        else:
            self._send_by_stow(target, content)

    def _send_by_stow(self, target: PushTarget, content: bytes) -> None:
        boundary = draw_boundary()
        body = b"".join(write_multipart([AnswerPart(DICOM, "1", (content,))], boundary))
        headers = {"Content-Type": name_multipart(DICOM, boundary), "Accept": DICOM_JSON}
        if target.token:
            headers["Authorization"] = f"Bearer {target.token}"
        url = f"{target.url.rstrip('/')}/studies"
        try:
            answer = self._client.post(url, content=body, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise PeerUnreachable from error
        if answer.status_code >= 500 or answer.status_code == 429:
            raise PeerUnreachable(f"the target answered {answer.status_code}")
        if not answer.is_success or _has_failed(answer.content):
            raise PeerRefused(f"the target answered {answer.status_code}")

    def _send_by_association(self, target: PushTarget, content: bytes) -> None:
        parts = urlsplit(target.url)
        dataset = read_dicom(content, DecodeLimits(), with_pixels=True).dataset
        entity = AE(ae_title=self._ae_title)
        entity.add_requested_context(
            UID(dataset.SOPClassUID), UID(dataset.file_meta.TransferSyntaxUID)
        )
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT_S
        entity.connection_timeout = _TIMEOUT_S
        peer = entity.associate(
            parts.hostname or "", parts.port or 0, ae_title=parts.username or ""
        )
        if not peer.is_established:
            if peer.is_rejected:
                raise PeerRefused("the target takes no such association")
            raise PeerUnreachable
        try:
            status = peer.send_c_store(dataset)
        except ValueError as error:
            raise PeerRefused("the target takes no such objects") from error
        finally:
            peer.release()
        code = status.get("Status")
        if code is None:
            raise PeerUnreachable
        if code != 0 and code & 0xF000 != _WARNING_CLASS:
            raise PeerRefused(f"the target answered status {code:04X}")


def _has_failed(content: bytes) -> bool:
    """Tell whether an answer names an object that was not stored; no answer names none."""
    try:
        told: dict[str, Any] = json.loads(content) if content.strip() else {}
        return any(told.get(tag, {}).get("Value") for tag in _FAILURES)
    except (ValueError, AttributeError):
        return False
