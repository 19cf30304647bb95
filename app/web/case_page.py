"""A case as it is read: its verdict in words, where its score stands, what people said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from app.bundles.service import find_candidate
from app.cases.history import CaseHistory, read_history
from app.cases.repository import CaseRepository
from app.cases.tables import CaseRow, FindingRow
from app.dicom.job_repository import JobRepository
from app.dicom.job_states import JobState
from app.web.bundle_facts import BundleFacts
from app.web.histogram import ScorePlot, build_score_plot
from app.web.reading import Reader
from app.web.reviews import ReviewView, build_reviews
from app.web.words import tell_age, tell_share_below
from app.web.worklist import CaseLine, build_line, link_page
from models.calibration import Calibration
from models.overlay import COLOR_RANGE, COLOR_TABLE, OUTLINE_COLOR

MAX_PRIORS = 8
MAX_REGIONS = 12
_MM2_OF_CM2 = 100.0
# The legend spans 0 to 4 thresholds on 300 units; colours begin at the first threshold.
_LEGEND_START, _LEGEND_END, _LEGEND_STEPS = 75.0, 298.0, 32


@dataclass(frozen=True, slots=True)
class RegionLine:
    """A place above the pixel threshold; row and column are those of its peak."""

    slice_index: int
    row: int
    column: int
    peak: float
    area: str


@dataclass(frozen=True, slots=True)
class EarlierLine:
    """What another bundle said, before or since."""

    verdict: str
    score: float | None
    bundle: str
    made_at: datetime
    age: str


@dataclass(frozen=True, slots=True)
class ColorScale:
    """The one colour table and its absolute range, in multiples of the pixel threshold."""

    table: str
    low: float
    high: float
    outline: str
    steps: Sequence[tuple[float, float, str]]


@dataclass(frozen=True, slots=True)
class CaseView:
    """Everything on the page of a case."""

    line: CaseLine
    facts: Sequence[tuple[str, str]]
    finding: FindingRow | None
    bundle: BundleFacts | None
    promise: str
    sent: Sequence[str]
    plot: ScorePlot | None
    remark: str
    hottest: int
    regions: Sequence[RegionLine]
    region_count: int
    earlier: Sequence[EarlierLine]
    priors: Sequence[CaseLine]
    reviews: ReviewView
    scale: ColorScale
    next_address: str
    back_address: str


def read_case(session: Session, case_id: UUID, reader: Reader) -> CaseView:
    """Prepare the page of a case.

    Raises:
        CaseNotFound: there is none.
    """
    repository = CaseRepository(session)
    case = repository.get_case(case_id)
    history = read_history(session, case_id, find_candidate(session))
    shown = next((row for row in history.findings if row.bundle_digest == case.bundle_digest), None)
    bundle = reader.library.find(case.bundle_digest)
    calibration = bundle.calibrations.choose(case.slice_count or 1) if bundle else None
    priors = repository.list_of_patient(case, MAX_PRIORS)
    return CaseView(
        line=build_line(case, reader.filters, reader.now),
        facts=_list_facts(case),
        finding=shown,
        bundle=bundle,
        promise=calibration.promise.statement if calibration else "",
        sent=_tell_pushes(session, case_id),
        plot=_build_plot(case, calibration),
        remark=_remark(case),
        hottest=_find_hottest(shown),
        regions=_list_regions(shown),
        region_count=len(shown.regions) if shown else 0,
        earlier=_list_earlier(history, shown, reader),
        priors=[build_line(row, {}, reader.now) for row in priors],
        reviews=build_reviews(case, history, reader),
        scale=build_scale(),
        next_address=link_page(f"/cases/{case_id}/next", reader.filters),
        back_address=link_page("/worklist", {"all": "1", **reader.filters})
        if reader.filters
        else "/worklist",
    )


def read_reviews(session: Session, case_id: UUID, reader: Reader) -> ReviewView:
    """Prepare the reviews of a case alone."""
    case = CaseRepository(session).get_case(case_id)
    return build_reviews(case, read_history(session, case_id, find_candidate(session)), reader)


def build_scale() -> ColorScale:
    """Give the colour scale of every overlay, and its legend: x, width, colour of each step."""
    width = (_LEGEND_END - _LEGEND_START) / _LEGEND_STEPS
    places = [round((len(COLOR_TABLE) - 1) * n / (_LEGEND_STEPS - 1)) for n in range(_LEGEND_STEPS)]
    return ColorScale(
        steps=[
            (_LEGEND_START + number * width, width + 0.3, f"#{COLOR_TABLE[place].tobytes().hex()}")
            for number, place in enumerate(places)
        ],
        table=COLOR_TABLE.tobytes().hex(),
        low=COLOR_RANGE[0],
        high=COLOR_RANGE[1],
        outline=OUTLINE_COLOR.tobytes().hex(),
    )


def _tell_pushes(session: Session, case_id: UUID) -> list[str]:
    """Tell for each target how many of the result's objects were saved there."""
    states: dict[str, list[str]] = {}
    for push, _ in JobRepository(session).list_pushes(case_id):
        if push.state != JobState.LEFT_OUT:
            states.setdefault(push.target, []).append(push.state)
    return [_tell_target(target, found) for target, found in sorted(states.items())]


def _tell_target(target: str, states: Sequence[str]) -> str:
    done = sum(state == JobState.DONE for state in states)
    if done == len(states):
        return f"saved to {target}"
    if JobState.FAILED in states:
        return f"not saved to {target}: {done} of {len(states)} objects, the rest failed"
    return f"on its way to {target}: {done} of {len(states)} objects"


def _list_facts(case: CaseRow) -> list[tuple[str, str]]:
    facts = (
        ("Accession", case.accession),
        ("Description", case.description),
        ("Modality", case.modality),
        ("Body part", case.body_part),
        ("Slices", str(case.slice_count) if case.slice_count else None),
        ("Device", case.device),
        ("Site", case.site),
        ("Sent by", case.sender_name),
        *((name, str(value)) for name, value in case.tags.items()),
    )
    return [(name, value) for name, value in facts if value]


def _build_plot(case: CaseRow, calibration: Calibration | None) -> ScorePlot | None:
    if case.score is None or calibration is None:
        return None
    return build_score_plot(case.score, calibration)


def _remark(case: CaseRow) -> str:
    if case.p_value is None:
        return ""
    return f"Above {tell_share_below(case.p_value)} of the healthy scans of the calibration."


def _find_hottest(finding: FindingRow | None) -> int:
    scores = finding.slice_scores if finding else []
    return max(range(len(scores)), key=scores.__getitem__) if scores else -1


def _list_regions(finding: FindingRow | None) -> list[RegionLine]:
    regions = finding.regions if finding else []
    return [
        RegionLine(
            slice_index=region["slice_index"],
            row=region["peak"][0],
            column=region["peak"][1],
            peak=region["peak_value"],
            area=_tell_area(region),
        )
        for region in regions[:MAX_REGIONS]
    ]


def _tell_area(region: dict[str, float]) -> str:
    area_mm2 = region["area_mm2"]
    if area_mm2 is None:
        return f"{region['area_px']} px"
    if area_mm2 < _MM2_OF_CM2:
        return f"{area_mm2:.0f} mm²"
    return f"{area_mm2 / _MM2_OF_CM2:.1f} cm²"


def _list_earlier(
    history: CaseHistory, shown: FindingRow | None, reader: Reader
) -> list[EarlierLine]:
    return [
        EarlierLine(
            verdict=row.verdict,
            score=row.score,
            bundle=reader.library.name(row.bundle_digest),
            made_at=row.made_at,
            age=tell_age(row.made_at, reader.now),
        )
        for row in reversed(history.findings)
        if row is not shown
    ]
