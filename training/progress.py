"""How a training run shows itself while it runs: a bar in the terminal, curves in TensorBoard."""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.errors import MissingExtra
from training.fit_state import HistoryPoint

# The loss curve in the terminal: eight heights, this many of the latest points.
CURVE_STEPS = "▁▂▃▄▅▆▇█"
CURVE_LENGTH = 20


class FitProgress(Protocol):
    """What a training run tells whoever watches."""

    def begin(self, images_seen: int, images_total: int) -> None:
        """Start, or go on, at this many slices."""

    def advance(self, images_seen: int, loss: float) -> None:
        """Tell how many slices were seen, and the mean loss of the latest."""

    def note(self, point: HistoryPoint) -> None:
        """Tell what a look at the weights gave."""


class SilentProgress:
    """Shows nothing."""

    def begin(self, images_seen: int, images_total: int) -> None:
        """Show nothing."""

    def advance(self, images_seen: int, loss: float) -> None:
        """Show nothing."""

    def note(self, point: HistoryPoint) -> None:
        """Show nothing."""


class BarProgress:
    """A bar with rate, time left, and the loss with its curve; made by `show_progress`."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("fit", total=None, rate="", loss="", curve="", separation="")
        self._losses: list[float] = []
        self._first = 0

    def begin(self, images_seen: int, images_total: int) -> None:
        """Start the clock; slices seen before a resumption do not count for the rate."""
        self._first = images_seen
        self._bar.reset(self._task, total=images_total, completed=images_seen)

    def advance(self, images_seen: int, loss: float) -> None:
        """Move the bar."""
        self._losses.append(loss)
        elapsed_s = self._bar.tasks[self._task].elapsed or 0.0
        rate = (images_seen - self._first) / elapsed_s if elapsed_s else 0.0
        self._bar.update(
            self._task,
            completed=images_seen,
            rate=f"{rate:.0f} images/s",
            loss=f"loss {loss:.4g}",
            curve=draw_curve(self._losses),
        )

    def note(self, point: HistoryPoint) -> None:
        """Show how well the weights separate synthetic anomalies."""
        if point.separation is not None:
            self._bar.update(self._task, separation=f"separation {point.separation:.3f}")


class BoardProgress:
    """Loss, rate and separation as curves in a TensorBoard folder, beside another progress."""

    def __init__(self, folder: Path, beside: FitProgress) -> None:
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
def show_progress(console: Console) -> Iterator[BarProgress]:
    """Show a bar on a console as long as the context lasts."""
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]} {task.fields[curve]} {task.fields[separation]}"),
    )
    with Progress(*columns, console=console) as bar:
        yield BarProgress(bar)


def draw_curve(losses: Sequence[float]) -> str:
    """Draw the course of the loss with a line of blocks, the whole run in `CURVE_LENGTH`."""
    count = min(CURVE_LENGTH, len(losses))
    edges = [round(place * len(losses) / count) for place in range(count + 1)] if count else []
    means = [sum(losses[start:end]) / (end - start) for start, end in pairwise(edges)]
    low, high = min(means, default=0.0), max(means, default=0.0)
    top = len(CURVE_STEPS) - 1
    spread = high - low
    return "".join(
        CURVE_STEPS[round((mean - low) / spread * top) if spread else 0] for mean in means
    )
