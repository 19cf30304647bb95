"""Webhooks: what configured addresses are told of a finding; never patient data.

A message is written in the transaction of the finding it tells, so that neither a crash nor an
address that is away loses it. The receiver checks `Aegle-Signature: t=<unix time>,v1=<hex>`, where
the hex is HMAC-SHA256 of `<unix time>.<body>`, and tells repetitions by `Aegle-Delivery`.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.cases.tables import CaseRow, FindingRow
from app.storage.identifiers import draw_id
from app.webhooks.repository import DeliveryRepository
from app.webhooks.tables import DeliveryRow

SCORED = "scored"
FLAGGED = "flagged"
MAX_ATTEMPTS = 12
_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class WebhookRules:
    """Who is told of what, and the key that signs it."""

    urls: tuple[str, ...]
    events: frozenset[str]
    secret: bytes


def announce_finding(
    rules: WebhookRules, session: Session, case: CaseRow, finding: FindingRow
) -> None:
    """Write down what is to be told of a finding that is shown."""
    wanted = [SCORED, FLAGGED] if finding.verdict == "anomalous" else [SCORED]
    rows = [
        DeliveryRow(
            id=draw_id(finding.made_at),
            url=url,
            event=event,
            body=describe_finding(event, case, finding),
            made_at=finding.made_at,
            due_at=finding.made_at,
            attempt_count=0,
        )
        for event in wanted
        if event in rules.events
        for url in rules.urls
    ]
    if rows:
        DeliveryRepository(session).add(*rows)


def describe_finding(event: str, case: CaseRow, finding: FindingRow) -> dict[str, Any]:
    """Give the body of a message."""
    return {
        "event": event,
        "case_id": str(case.id),
        "finding_id": str(finding.id),
        "verdict": finding.verdict,
        "score": finding.score,
        "p_value": finding.p_value,
        "threshold": finding.threshold,
        "bundle_digest": finding.bundle_digest,
        "job_id": None if finding.job_id is None else str(finding.job_id),
        "made_at": finding.made_at.isoformat(),
    }


def encode_body(body: dict[str, Any]) -> bytes:
    """Give the bytes that are sent and signed."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sign(secret: bytes, body: bytes, at: datetime) -> str:
    """Give the value of the signature's header."""
    moment = str(int(at.timestamp()))
    digest = hmac.new(secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def choose_pause(attempt_count: int, chance: float) -> timedelta:
    """Give the wait before the next attempt: doubled each time, spread by `chance` (0..1)."""
    pause_s = min(_FIRST_PAUSE_S * 2.0 ** (attempt_count - 1), _LONGEST_PAUSE_S)
    return timedelta(seconds=pause_s * (0.5 + 0.5 * chance))
