"""What is counted in an evaluation: scans, or the slices of volumes, with score and truth."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.verdict import VerdictLabel
from training.cohort_table import HEALTHY
from training.metrics import Floats

UnitKind = Literal["scan", "slice", "volume"]


@dataclass(frozen=True, slots=True)
class Unit:
    """One scan or slice of the test split: what it is, and what the bundle says of it.

    `score` is None where the scan could not be looked at. `parts` are the scores of the heads and
    of the baselines, by name. `columns` are those of the cohort that were asked for.
    """

    name: str
    patient: str
    label: str
    score: float | None
    verdict: VerdictLabel
    reason: str
    parts: Mapping[str, float]
    columns: Mapping[str, str]

    @property
    def is_healthy(self) -> bool:
        """Whether the cohort calls it healthy."""
        return self.label == HEALTHY


@dataclass(slots=True)
class UnitTable:
    """The units of an evaluation, column by column.

    Units without a score are counted in `unscored` by verdict reason and take part in no metric.
    """

    kind: UnitKind
    names: list[str] = field(default_factory=list)
    patients: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    verdicts: list[VerdictLabel] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    columns: list[Mapping[str, str]] = field(default_factory=list)
    unscored: Counter[str] = field(default_factory=Counter)
    _scores: list[float] = field(default_factory=list)
    _parts: dict[str, list[float]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._scores)

    def add(self, unit: Unit) -> None:
        """Add one unit."""
        if unit.score is None:
            self.unscored[unit.reason] += 1
            return
        self.names.append(unit.name)
        self.patients.append(unit.patient)
        self.labels.append(unit.label)
        self.verdicts.append(unit.verdict)
        self.reasons.append(unit.reason)
        self.columns.append(unit.columns)
        self._scores.append(unit.score)
        for name, value in unit.parts.items():
            self._parts.setdefault(name, []).append(value)

    @property
    def scores(self) -> Floats:
        """Score of each unit, float64 [N], any value; higher is stranger."""
        return np.asarray(self._scores, dtype=np.float64)

    @property
    def is_abnormal(self) -> NDArray[np.bool_]:
        """Truth of each unit, bool [N]; True is abnormal."""
        return np.array([label != HEALTHY for label in self.labels], dtype=np.bool_)

    @property
    def abnormal_labels(self) -> list[str]:
        """The labels other than healthy, in order."""
        return sorted(set(self.labels) - {HEALTHY})

    @property
    def part_names(self) -> list[str]:
        """The names of all heads and baselines."""
        return list(self._parts)

    def get_parts(self, name: str) -> Floats:
        """Give the scores of one head or baseline, float64 [N]."""
        return np.asarray(self._parts[name], dtype=np.float64)

    def match_labels(self, labels: Sequence[str]) -> NDArray[np.bool_]:
        """Say which units have one of these labels, bool [N]."""
        return np.isin(np.asarray(self.labels, dtype=np.str_), np.asarray(labels, dtype=np.str_))

    def match_verdicts(self, verdict: VerdictLabel) -> NDArray[np.bool_]:
        """Say which units have this verdict, bool [N]."""
        return np.array([found == verdict for found in self.verdicts], dtype=np.bool_)
