import io
import sys

import pytest
from rich.console import Console

from models.errors import MissingExtra
from training.fit_state import HistoryPoint
from training.train import TrainingWatch
from training.watch import watch_console, watch_curves

POINT = HistoryPoint(
    step=10,
    images_seen=160,
    learning_rate=0.001,
    loss=0.25,
    validation_loss=0.2,
    separation=0.875,
    by_kind={},
    active_latent=None,
)


def test_the_bar_shows_count_loss_and_separation():
    screen = io.StringIO()

    with watch_console(Console(file=screen, force_terminal=True, width=160)) as watch:
        watch.begin(0, 320)
        watch.advance(160, 0.25)
        watch.note(POINT)

    text = screen.getvalue()
    assert "160/320" in text
    assert "images/s" in text
    assert "loss 0.25" in text
    assert "separation 0.875" in text


def test_curves_need_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)

    with (
        pytest.raises(MissingExtra, match=r"aegle\[tensorboard\]"),
        watch_curves(tmp_path, TrainingWatch()),
    ):
        pass


def test_curves_are_written_beside_the_bars(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra tensorboard is not installed")
    seen = []

    class Beside(TrainingWatch):
        def advance(self, images_seen, loss):
            seen.append((images_seen, loss))

    with watch_curves(tmp_path, Beside()) as watch:
        watch.start("decode", 3)
        watch.step(3)
        watch.begin(0, 320)
        watch.advance(160, 0.25)
        watch.note(POINT)

    (written,) = tmp_path.glob("events.out.tfevents.*")
    assert b"loss/fit" in written.read_bytes()
    assert seen == [(160, 0.25)]


def test_without_a_folder_the_other_watch_is_used_alone():
    beside = TrainingWatch()

    with watch_curves(None, beside) as watch:
        assert watch is beside
