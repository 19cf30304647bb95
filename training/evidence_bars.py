"""Records to the bars that the detector was built for: what was asked, what was found."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

from training.evidence import AUTO, POSITION, REFERENCE, Record
from training.peers import PEERS

Records = Sequence[Record]
Find = Callable[[Records], float | None]


@dataclass(frozen=True, slots=True)
class Bar:
    """A number that must be reached on a cohort; every cohort where none is named.

    `find` gives the number from the records of one method on one cohort, and `beside` from those
    of the reference, which hold baselines and peers; the bar is then for the lead over these.
    """

    what: str
    limit: float
    find: Find
    beside: Find | None = None
    cohort: str | None = None
    is_ceiling: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """A bar, on which cohort it was tried by which method over how many seeds, and what was found.

    `found` is None where a record does not tell.
    """

    bar: Bar
    cohort: str
    method: str
    seeds: int
    found: float | None

    @property
    def is_met(self) -> bool:
        """Whether it was reached; what was not measured was not."""
        if self.found is None:
            return False
        limit = self.bar.limit
        return self.found <= limit if self.bar.is_ceiling else self.found >= limit


def _mean(*path: str) -> Find:
    """Give the mean over the seeds of a number in the summary."""

    def find(records: Records) -> float | None:
        values = [record.look_up(*path) for record in records]
        known = [value for value in values if value is not None]
        return mean(known) if known and len(known) == len(values) else None

    return find


def _find_best_peer(records: Records) -> float | None:
    names = {name for record in records for name in record.summary["baselines"]}
    peers = [name for name in names if name.startswith(tuple(PEERS))]
    means = [_mean("baselines", name, "auroc")(records) for name in peers]
    return max((value for value in means if value is not None), default=None)


def _find_best_trivial(records: Records) -> float | None:
    names = {name for record in records for name in record.summary["baselines"]}
    trivial = [name for name in names if not name.startswith(tuple(PEERS))]
    means = [_mean("baselines", name, "auroc")(records) for name in trivial]
    return max((value for value in means if value is not None), default=None)


def _share_inside(records: Records) -> float | None:
    """Give the share of seeds whose false alarms lie where the promise lets them."""
    told = [record.summary["false_alarm"]["is_within_expected"] for record in records]
    return None if None in told else mean(float(each) for each in told)


def _count_slices_a_second(records: Records) -> float | None:
    return 1.0 / mean(record.seconds_a_slice for record in records)


_AUROC = _mean("image", "auroc")
_PIXEL_AP = _mean("pixel", "ap_abnormal")
_RAW = _mean("baselines", "raw_intensity", "pixel_ap_abnormal")
_SENSITIVITY = _mean("image", "sensitivity_at_95_specificity")
_SHARPNESS = _mean("baselines", "sharpness_low", "auroc")
_MIDDLE = _mean("windows", POSITION.name, "auroc")

BARS = (
    Bar("AUROC", 0.90, _AUROC, cohort="chest_xray"),
    Bar("sensitivity at 95 % specificity", 0.55, _SENSITIVITY, cohort="chest_xray"),
    Bar("AUROC over the sharpness shortcut", 0.05, _AUROC, _SHARPNESS, cohort="chest_xray"),
    Bar("AUROC", 0.92, _AUROC, cohort="brain_flair"),
    Bar(f"AUROC in {POSITION.name}", 0.90, _MIDDLE, cohort="brain_flair"),
    Bar("pixel AP", 0.80, _PIXEL_AP, cohort="brain_flair"),
    Bar("best Dice", 0.72, _mean("pixel", "best_dice"), cohort="brain_flair"),
    Bar("pixel AP over raw intensity", 0.12, _PIXEL_AP, _RAW, cohort="brain_flair"),
    Bar(
        "hottest point in the lesion", 0.80, _mean("pixel", "hottest_inside"), cohort="brain_flair"
    ),
    Bar("healthy slices without a region", 0.95, _mean("pixel", "clean"), cohort="brain_flair"),
    Bar("AUROC over the best peer", 0.0, _AUROC, _find_best_peer),
    Bar("AUROC over the best trivial baseline", 0.0, _AUROC, _find_best_trivial),
    Bar("share of seeds with false alarms inside the promise", 1.0, _share_inside),
    Bar("slices a second, decoding included", 20.0, _count_slices_a_second),
    Bar(
        "minutes of training",
        15.0,
        lambda records: mean(record.training_s for record in records) / 60.0,
        is_ceiling=True,
    ),
    Bar(
        "megabytes of the bundle",
        60.0,
        lambda records: max(record.bundle_bytes for record in records) / 1e6,
        is_ceiling=True,
    ),
)


def try_bars(records: Records) -> Iterator[Outcome]:
    """Hold every bar against what `auto`, or else the default, reached on each cohort."""
    for cohort in dict.fromkeys(record.cohort for record in records):
        own = [record for record in records if record.cohort == cohort]
        reference = [record for record in own if record.method == REFERENCE]
        for method in (AUTO, REFERENCE):
            tried = [record for record in own if record.method == method]
            for bar in BARS if tried else ():
                if bar.cohort in {None, cohort}:
                    found = _hold(bar, tried, reference)
                    yield Outcome(bar, cohort, method, len(tried), found)


def _hold(bar: Bar, tried: Records, reference: Records) -> float | None:
    found = bar.find(tried)
    if bar.beside is None or found is None:
        return found
    beside = bar.beside(reference)
    return None if beside is None else found - beside
