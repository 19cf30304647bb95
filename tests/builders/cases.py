"""Uploads, cases and findings, put together for the service's tests."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import insert
from sqlalchemy.orm import Session

from app.cases.orders import CaseFacts, NewCase, NewFinding, NewInstance, NewUpload
from app.cases.service import add_instances, keep_upload, open_case
from app.cases.states import CaseState, Channel
from app.cases.tables import UNSCORED_RANK, CaseRow, CaseTermRow, rank_finding
from app.cases.terms import find_terms
from app.storage.blobs import StoredBlob
from app.storage.identifiers import draw_id
from app.storage.repository import BlobRepository

BUNDLE = "b" * 64
OTHER_BUNDLE = "c" * 64
MODALITIES = ("MR", "CT", "CR", "DX", None)
SENDER = "key:00000000-0000-0000-0000-000000000001"


def build_case(session: Session, at: datetime, content: bytes = b"scan", **facts: Any) -> CaseRow:
    """Open a case of one file, with its receipt; the blob's bytes are not stored."""
    sha256 = hashlib.sha256(content).hexdigest()
    BlobRepository(session).touch([StoredBlob(sha256, len(content))], at)
    upload, _ = keep_upload(session, NewUpload(SENDER, sha256, len(content)), at)
    state = facts.pop("state", CaseState.QUEUED)
    new = NewCase(SENDER, "CT 1", Channel.REST, CaseFacts(**facts), state)
    case = open_case(session, new, at)
    add_instances(session, case, [NewInstance(upload.id, sha256, len(content))], at)
    return case


def build_finding(**changes: Any) -> NewFinding:
    """Describe an anomalous finding without maps."""
    values: dict[str, Any] = {
        "bundle_digest": BUNDLE, "verdict": "anomalous", "score": 4.2, "p_value": 0.01,
        "threshold": 2.0, "reason": "", "error_map_sha256": None, "reconstruction_sha256": None,
    }  # fmt: skip
    return NewFinding(**values | changes)


def fill_worklist(session: Session, count: int, at: datetime) -> None:
    """Insert many cases at once: two bundles, five modalities, forty sites, a thousand names."""
    generator = np.random.default_rng(1)
    rows = list(_draw_cases(generator, count, at))
    terms = [
        {"term": term, "case_id": row["id"]}
        for row in rows
        for term in find_terms(row["patient_name"], row["patient_id"], row["accession"])
    ]
    for values, table in ((rows, CaseRow), (terms, CaseTermRow)):
        for start in range(0, len(values), 10_000):
            session.execute(insert(table), values[start : start + 10_000])


def _rank(score: float | None, *, is_anomalous: bool) -> float:
    if score is None:
        return UNSCORED_RANK
    return rank_finding("anomalous" if is_anomalous else "typical", score)


def _draw_cases(
    generator: np.random.Generator, count: int, at: datetime
) -> Iterator[dict[str, Any]]:
    scores = generator.normal(size=count)
    picks = generator.random((count, 6))
    for number in range(count):
        pick = picks[number]
        received_at = at - timedelta(seconds=30 * (count - number))
        is_scored = pick[0] > 0.01
        score = float(scores[number]) if is_scored else None
        is_anomalous = score is not None and score > 1.6
        yield {
            "id": draw_id(received_at), "received_at": received_at, "changed_at": received_at,
            "state": "scored" if is_scored else "queued",
            "sender": f"key:{int(pick[1] * 8)}", "sender_name": "tool", "channel": "rest",
            "site": f"site {int(40 * pick[2] ** 2)}", "modality": MODALITIES[int(pick[3] * 5)],
            "patient_name": f"NAME{number % 1000:04}^GIVEN{int(pick[4] * 300)}",
            "patient_id": f"P{number}", "accession": f"A{number * 7}", "tags": {},
            "slice_count": 20 if number % 10 == 0 else 1, "device": f"Scanner {int(pick[1] * 12)}",
            "verdict": None if score is None else "anomalous" if is_anomalous else "typical",
            "score": score, "rank_score": _rank(score, is_anomalous=is_anomalous),
            "bundle_digest": None if score is None else BUNDLE if pick[5] > 0.2 else OTHER_BUNDLE,
            "scored_at": received_at if is_scored else None,
            "review": "confirmed" if is_anomalous and pick[5] > 0.5 else "none",
        }  # fmt: skip
