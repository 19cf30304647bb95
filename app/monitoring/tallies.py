"""Groups of cases folded into tallies."""

from collections import Counter
from collections.abc import Callable, Iterable

from app.cases.states import ReviewState
from app.monitoring.repository import Group
from app.monitoring.schemas import NamedTally, Share, Tally

MOST_NAMES = 200

_Name = tuple[str | None, str | None]


def fold_groups(groups: Iterable[Group]) -> Tally:
    """Fold groups into one tally."""
    return Tally(**_count(groups))


def fold_by(groups: Iterable[Group], name: Callable[[Group], _Name]) -> list[NamedTally]:
    """Fold groups into one tally a name (value and title), the largest first, no more than 200."""
    members: dict[str | None, list[Group]] = {}
    titles: dict[str | None, str | None] = {}
    for group in groups:
        value, titles[value] = name(group)
        members.setdefault(value, []).append(group)
    tallies = [
        NamedTally(name=value, title=titles[value], **_count(each))
        for value, each in members.items()
    ]
    return sorted(tallies, key=lambda tally: (-tally.total, tally.name or ""))[:MOST_NAMES]


def _count(groups: Iterable[Group]) -> dict[str, int | Share]:
    verdicts: Counter[str | None] = Counter()
    reviews: Counter[str] = Counter()
    for group in groups:
        verdicts[group.verdict] += group.count
        if group.verdict == "anomalous":
            reviews[group.review] += group.count
    anomalous, typical = verdicts["anomalous"], verdicts["typical"]
    confirmed, dismissed = reviews[ReviewState.CONFIRMED], reviews[ReviewState.DISMISSED]
    return {
        "total": verdicts.total(),
        "typical": typical,
        "anomalous": anomalous,
        "indeterminate": verdicts["indeterminate"],
        "alerts": Share.measure(anomalous, anomalous + typical),
        "confirmed": confirmed,
        "dismissed": dismissed,
        "unsure": reviews[ReviewState.UNSURE],
        "precision": Share.measure(confirmed, confirmed + dismissed),
    }
