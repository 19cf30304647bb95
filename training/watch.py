"""How a whole training run shows itself: bars in a terminal, curves in TensorBoard."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from models.errors import MissingExtra
from training.fit_state import HistoryPoint
from training.progress import BarProgress
from training.train import TrainingWatch

STAGES = {
    "trials": "try recipes",
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


class CurvesWatch(TrainingWatch):
    """Loss, rate and separation as curves of TensorBoard, beside another watch."""

    def __init__(self, folder: Path, beside: TrainingWatch) -> None:
        """Open the folder.

        Raises:
            MissingExtra: TensorBoard is not installed.
        """
        try:
            board = importlib.import_module("torch.utils.tensorboard")
        except ImportError as error:
            raise MissingExtra(
                "curves need TensorBoard: pip install 'aegle[tensorboard]'"
            ) from error
        self._writer = board.SummaryWriter(str(folder))
        self._beside = beside

    def start(self, stage: str, total: int) -> None:
        """Pass on."""
        self._beside.start(stage, total)

    def step(self, done: int) -> None:
        """Pass on."""
        self._beside.step(done)

    def begin(self, images_seen: int, images_total: int) -> None:
        """Pass on."""
        self._beside.begin(images_seen, images_total)

    def advance(self, images_seen: int, loss: float) -> None:
        """Draw the loss."""
        self._writer.add_scalar("loss/fit", loss, images_seen)
        self._beside.advance(images_seen, loss)

    def note(self, point: HistoryPoint) -> None:
        """Draw the validation, and flush, so that the curve is live."""
        self._writer.add_scalar("loss/validation", point.validation_loss, point.images_seen)
        self._writer.add_scalar("learning_rate", point.learning_rate, point.images_seen)
        for kind, separation in point.by_kind.items():
            self._writer.add_scalar(f"separation/{kind}", separation, point.images_seen)
        self._writer.flush()
        self._beside.note(point)

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


@contextmanager
def watch_curves(folder: Path | None, beside: TrainingWatch) -> Iterator[TrainingWatch]:
    """Write curves into the folder as long as the context lasts; without one the other watches.

    Raises:
        MissingExtra: TensorBoard is not installed.
    """
    if folder is None:
        yield beside
        return
    watch = CurvesWatch(folder, beside)
    try:
        yield watch
    finally:
        watch.close()


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
