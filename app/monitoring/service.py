"""What a bundle did of late, against what it promised.

One vote a patient, as in the calibration: the first scan of a patient counts, whatever it scored.
Cases without a patient id count as one patient each. Cases count under the bundle whose finding
they show.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sqlalchemy.orm import Session

from app.monitoring.martingale import Values, find_alarm, follow_jumper, rank_online
from app.monitoring.repository import MonitoringFilter, MonitoringRepository, ScoredCase
from app.monitoring.schemas import (
    HistogramView,
    Kind,
    MartingaleView,
    MonitoringView,
    NamedTally,
    ScoreView,
    Share,
)
from app.monitoring.shift import count_bins, measure_shift
from app.monitoring.tallies import fold_by, fold_groups
from models.bundle.manifest import Calibrations
from models.calibration import Calibration

DELTA = 0.01
MOST_CASES = 20_000
_POINTS = 200
_RANDOM_BITS = 62


@dataclass(frozen=True, slots=True)
class _Vote:
    kind: Kind
    case: ScoredCase


def observe(
    session: Session,
    wanted: MonitoringFilter,
    bundle: str | None,
    calibrations: Calibrations | None,
) -> MonitoringView:
    """Tell what a bundle did, by counts, by distances and by martingales.

    Args:
        session: a reading session.
        wanted: which cases.
        bundle: digest; None where none is live.
        calibrations: those of the bundle; None where it is not on this machine.
    """
    repository = MonitoringRepository(session)
    groups = repository.count_groups(wanted)
    own = [group for group in groups if group.bundle == bundle]
    cases = [] if bundle is None else repository.list_scored(wanted, bundle, MOST_CASES + 1)
    votes = draw_votes(cases[-MOST_CASES:])
    by_week = fold_by(own, lambda group: (group.week, None))
    return MonitoringView(
        bundle=bundle,
        cases=fold_groups(own),
        by_bundle=fold_by(groups, lambda group: (group.bundle, None)),
        by_site=fold_by(own, lambda group: (group.site, None)),
        by_device=fold_by(own, lambda group: (group.device, None)),
        by_sender=fold_by(own, lambda group: (group.sender, group.sender_name)),
        by_week=sorted(by_week, key=_name_week),
        scores=_compare(votes, calibrations),
        martingales=_bet(votes, calibrations),
        is_cut=len(cases) > MOST_CASES,
    )


def draw_votes(cases: Iterable[ScoredCase]) -> list[_Vote]:
    """Give the first scan of each kind of each patient, in the order of arrival."""
    seen: set[tuple[Kind, str]] = set()
    votes = []
    for case in cases:
        kind: Kind = "slice" if case.slice_count == 1 else "volume"
        if case.patient_id is not None:
            if (kind, case.patient_id) in seen:
                continue
            seen.add((kind, case.patient_id))
        votes.append(_Vote(kind, case))
    return votes


def _name_week(tally: NamedTally) -> str:
    return tally.name or ""


def _compare(votes: Sequence[_Vote], calibrations: Calibrations | None) -> list[ScoreView]:
    return [
        _compare_kind(kind, [vote.case for vote in votes if vote.kind == kind], calibration)
        for kind, calibration in _list_calibrations(calibrations).items()
    ]


def _compare_kind(kind: Kind, cases: Sequence[ScoredCase], calibration: Calibration) -> ScoreView:
    scores, healthy = _list_scores(cases), np.asarray(calibration.scores)
    shift = measure_shift(scores, healthy)
    decided = [case for case in cases if case.verdict != "indeterminate"]
    flagged = sum(case.verdict == "anomalous" for case in decided)
    alerts = Share.measure(flagged, len(decided))
    promised = calibration.promise.rate
    return ScoreView(
        kind=kind,
        votes=len(cases),
        calibration_count=len(healthy),
        threshold=calibration.threshold,
        promised_share=promised,
        promise=calibration.promise.statement,
        alerts=alerts,
        is_above_promise=None if promised is None else alerts.low > promised,
        ks=shift.ks if shift else None,
        ks_p_value=shift.ks_p_value if shift else None,
        psi=shift.psi if shift else None,
        psi_by_chance=shift.psi_by_chance if shift else None,
        histogram=HistogramView.of(count_bins(scores, healthy, calibration.threshold)),
    )


def _bet(votes: Sequence[_Vote], calibrations: Calibrations | None) -> list[MartingaleView]:
    healthy = {
        kind: np.asarray(calibration.scores)
        for kind, calibration in _list_calibrations(calibrations).items()
    }
    nothing: dict[Kind, Values] = dict.fromkeys(("slice", "volume"), np.empty(0))
    views = [_follow("stream", votes, nothing)]
    if healthy:
        calibrated = [vote for vote in votes if vote.kind in healthy]
        views.insert(0, _follow("calibration", calibrated, healthy))
    return views


def _follow(
    against: Literal["calibration", "stream"], votes: Sequence[_Vote], before: dict[Kind, Values]
) -> MartingaleView:
    path = follow_jumper(_rank(votes, before))
    alarm = find_alarm(path, DELTA)
    first = alarm.first
    places = np.unique(np.linspace(0, max(len(path) - 1, 0), _POINTS).astype(int))
    return MartingaleView(
        against=against,
        votes=len(votes),
        delta=DELTA,
        is_alarm=first is not None,
        alarmed_at=None if first is None else votes[first].case.received_at,
        log10_now=alarm.log10_now,
        log10_highest=alarm.log10_highest,
        path=path[places].tolist() if len(path) else [],
    )


def _rank(votes: Sequence[_Vote], before: dict[Kind, Values]) -> Values:
    """Give the online p-values of votes, each kind ranked among its own, in order of arrival."""
    p_values = np.empty(len(votes))
    for kind, earlier in before.items():
        places = [place for place, vote in enumerate(votes) if vote.kind == kind]
        cases = [votes[place].case for place in places]
        p_values[places] = rank_online(_list_scores(cases), earlier, _draw_tie_breaks(cases))
    return p_values


def _draw_tie_breaks(cases: Sequence[ScoredCase]) -> Values:
    """Give the random number of each case that breaks its ties: float64 [N], 0..1.

    It is read from the case's id, whose last 62 bits were drawn when the case was opened (UUID
    version 7): independent of the scan, and the same whenever it is asked for.
    """
    low = (1 << _RANDOM_BITS) - 1
    return np.array([(case.id.int & low) / (low + 1) for case in cases], dtype=np.float64)


def _list_calibrations(calibrations: Calibrations | None) -> dict[Kind, Calibration]:
    if calibrations is None:
        return {}
    found: dict[Kind, Calibration | None] = {
        "slice": calibrations.slice,
        "volume": calibrations.volume,
    }
    return {kind: each for kind, each in found.items() if each is not None}


def _list_scores(cases: Sequence[ScoredCase]) -> Values:
    return np.array([case.score for case in cases], dtype=np.float64)
