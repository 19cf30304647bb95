"""What a long row gives: counts, figures, and the bars they are held to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Bar:
    """A figure and what it may be at most."""

    name: str
    value: float
    most: float
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the figure keeps the bar."""
        return self.value <= self.most

    def __str__(self) -> str:
        return f"{self.name} {self.value:.4g} (bar {self.most:g}) {self.unit}".strip()


@dataclass
class Outcome:
    """One line of the table; None where a row has no such count."""

    row: str
    rounds: int
    acknowledged: int | None = None
    found: int | None = None
    lost: int | None = None
    twice: int | None = None
    ready_s: float | None = None
    bars: list[Bar] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def is_met(self) -> bool:
        """Whether nothing was lost, nothing done twice, and every bar kept."""
        return not (self.lost or self.twice or self.faults) and all(b.is_met for b in self.bars)


@dataclass(frozen=True)
class Order:
    """What a row needs: a bundle, a folder of its own, rounds, and whom to tell of each round."""

    bundle: Path
    folder: Path
    rounds: int
    advance: Callable[[], None]


@dataclass(frozen=True)
class Row:
    """A long row: how it is called, what it tries, how many rounds it has by default."""

    name: str
    tries: str
    rounds: int
    run: Callable[[Order], Outcome]
