"""How a whole training run shows itself in a terminal: a bar a stage, the fit with its loss."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from training.fit_state import HistoryPoint
from training.progress import BarProgress
from training.train import TrainingWatch

STAGES = {
    "decode": "decode and normalize",
    "fusion": "learn the healthy scale",
    "calibration": "calibrate",
    "measurement": "measure the test split",
}


class ConsoleWatch(TrainingWatch):
    """Bars on a console; made by `watch_console`."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._fit: BarProgress | None = None
        self._stage = TaskID(0)

    def start(self, stage: str, total: int) -> None:
        """Show the bar of a stage."""
        self._stage = self._bars.add_task(
            STAGES[stage], total=total, rate="", loss="", curve="", separation=""
        )

    def step(self, done: int) -> None:
        """Move the bar of the stage."""
        self._bars.update(self._stage, completed=done)

    def begin(self, images_seen: int, images_total: int) -> None:
        """Show the bar of the fit."""
        self._fit = BarProgress(self._bars)
        self._fit.begin(images_seen, images_total)

    def advance(self, images_seen: int, loss: float) -> None:
        """Move the bar of the fit."""
        if self._fit is not None:
            self._fit.advance(images_seen, loss)

    def note(self, point: HistoryPoint) -> None:
        """Show what a look at the weights gave."""
        if self._fit is not None:
            self._fit.note(point)


@contextmanager
def watch_console(console: Console) -> Iterator[ConsoleWatch]:
    """Show the bars as long as the context lasts."""
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]} {task.fields[curve]} {task.fields[separation]}"),
    )
    with Progress(*columns, console=console) as bars:
        yield ConsoleWatch(bars)
