"""Streams of scored cases and calibrations for the tests of monitoring."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import insert
from sqlalchemy.orm import Session

from app.cases.tables import CaseRow
from app.storage.identifiers import draw_id
from models.bundle.manifest import Calibrations
from models.calibration import Calibration, calibrate
from tests.builders.cases import BUNDLE

APART = timedelta(minutes=10)


def make_calibration(count: int = 200, rate: float = 0.05) -> Calibration:
    """Calibrate on Gaussian scores of as many patients."""
    generator = np.random.default_rng(99)
    patients = [str(number) for number in range(count)]
    return calibrate(generator.normal(size=count), patients, rate, 0.9, generator)


def make_calibrations(count: int = 200) -> Calibrations:
    """Give a calibration of single slices, and none of volumes."""
    return Calibrations(slice=make_calibration(count), volume=None)


def add_stream(
    session: Session, scores: Sequence[float], at: datetime, **changes: Any
) -> list[dict[str, Any]]:
    """Insert scored cases, one every ten minutes; a list among the changes has a value each."""
    threshold = make_calibration().threshold
    rows = []
    for number, score in enumerate(scores):
        received_at = at + number * APART
        row = {
            "id": draw_id(received_at), "received_at": received_at, "changed_at": received_at,
            "state": "scored", "sender": "key:1", "sender_name": "CT 1", "channel": "rest",
            "site": "north", "device": "ACME One", "tags": {}, "slice_count": 1,
            "patient_id": f"P{number}", "score": float(score), "rank_score": float(score),
            "verdict": "anomalous" if score > threshold else "typical",
            "bundle_digest": BUNDLE, "scored_at": received_at, "review": "none",
        }  # fmt: skip
        own = {
            name: value[number] if isinstance(value, list) else value
            for name, value in changes.items()
        }
        rows.append(row | own)
    session.execute(insert(CaseRow), rows)
    return rows
