"""Every page and every state that it can be in, for whoever looks at all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
from playwright.sync_api import Page

from app.auth.service import prepare_setup
from app.batch.repository import JobRepository
from app.batch.tables import FailureRow, FlipRow
from app.cases.service import quarantine_case
from app.cases.states import CaseState
from tests.builders.cases import OTHER_BUNDLE, build_case
from tests.builders.dicom import AXIAL, build_dicom
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import build_zip, encode_picture
from tests.builders.sites import Site

CASES = "/api/v1/cases"
PASSWORD = "some words that make a password"  # noqa: S105 - of a user that tests make
SLICES = 5
FLAGGED, TYPICAL, UNKNOWN = "anomalous", "typical", "indeterminate"


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses of what the states are about; `folder` is for files to choose."""

    site: Site
    cases: dict[str, str]
    bundle: str
    job: str
    folder: Path


State = Callable[[Page, Places], object]


def furnish(site: Site, folder: Path) -> Places:
    """Put into a service what its pages can show."""
    series = site.send(_build_series(), patient_name="Doe^Series", site="North")["id"]
    cases = {verdict: _find_case(site, verdict) for verdict in (FLAGGED, TYPICAL, UNKNOWN)}
    cases |= {"series": f"/cases/{series}", **_add_unscored(site)}
    bundle = site.client.get("/api/v1/bundles").json()["items"][0]["digest"]
    (folder / "scan.png").write_bytes(encode_picture(draw_scan(970, has_lesion=True), "png"))
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"no picture" * 9)
    return Places(site, cases, f"/bundles/{bundle}", _add_job(site, bundle), folder)


def hand_in_report(site: Site) -> None:
    """Let the bundle's page show a report."""
    digest = site.client.get("/api/v1/bundles").json()["items"][0]["digest"]
    page = f"<!doctype html><html lang=en><title>Report</title><h1>Evaluation of {digest}</h1>"
    sent = site.client.put(f"/api/v1/bundles/{digest}/report", content=page.encode())
    assert sent.status_code == 200


def set_up(site: Site) -> None:
    """Make the local administrator, unless there is one: the sign-in asks for a password."""
    access = site.service.state.access
    with access.database.transaction() as session:
        secret = prepare_setup(session, access.clock.now())
    if secret is None:
        return
    order = {"setup_secret": secret, "name": "Admin", "password": PASSWORD}
    assert site.client.post("/api/v1/setup", json=order).status_code == 201
    site.client.cookies.clear()


def _find_case(site: Site, verdict: str) -> str:
    """Give a case of one slice; of flagged ones, one with regions."""
    query = {"verdict": verdict, "sort": "score"}
    for case in site.client.get(CASES, params=query).json()["items"]:
        finding = site.client.get(f"{CASES}/{case['id']}").json()["finding"]
        if (case["slice_count"] or 1) == 1 and (verdict != FLAGGED or finding["regions"]):
            return f"/cases/{case['id']}"
    raise LookupError(verdict)


def _build_series() -> bytes:
    pictures = [draw_scan(960 + number, has_lesion=number == 2) for number in range(SLICES)]
    files = {
        f"{number}.dcm": build_dicom(
            picture.astype(np.uint16),
            ImageOrientationPatient=AXIAL,
            ImagePositionPatient=[0.0, 0.0, float(number)],
            PixelSpacing=[1.0, 1.0],
        )
        for number, picture in enumerate(pictures)
    }
    return build_zip(files)


def _add_unscored(site: Site) -> dict[str, str]:
    """Add a case that is still coming in, and one that was set aside."""
    access, content = (
        site.service.state.access,
        encode_picture(draw_scan(980, has_lesion=False), "png"),
    )
    site.service.state.storage.blobs.write(content)
    with access.database.transaction() as session:
        now = access.clock.now()
        waiting = build_case(session, now, content, state=CaseState.RECEIVING, site="North")
        broken = build_case(session, now, b"broken", state=CaseState.QUEUED, site="North")
        quarantine_case(session, broken.id, "corrupt_scan", now)
        return {"waiting": f"/cases/{waiting.id}", "set aside": f"/cases/{broken.id}"}


def _add_job(site: Site, bundle: str) -> str:
    """Run a job, and note what another bundle would have changed."""
    order = {"bundle": bundle, "is_dry_run": True, "filter": {"verdict": UNKNOWN}}
    job = site.client.post("/api/v1/jobs/rescore", json=order).json()["id"]
    cases = site.client.get(CASES, params={"status": "scored"}).json()["items"]
    access = site.service.state.access
    with access.database.transaction() as session:
        job_id = UUID(job)
        row = JobRepository(session).get(job_id)
        row.flip_count, row.failed_count = 2, 1
        for case, verdict in zip(cases[:2], (TYPICAL, UNKNOWN), strict=True):
            before = {"before_bundle": OTHER_BUNDLE, "before_verdict": verdict}
            after = {"after_bundle": bundle, "after_verdict": FLAGGED, "after_score": 3.2}
            empty = {"before_score": None, "before_p_value": None, "after_p_value": 0.01}
            case_id = UUID(case["id"])
            session.add(FlipRow(job_id=job_id, case_id=case_id, **before, **after, **empty))
        other = UUID(cases[2]["id"])
        session.add(FailureRow(job_id=job_id, case_id=other, code="corrupt_scan"))
    return f"/jobs/{job}"
