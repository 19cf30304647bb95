import io
import sys

import pytest
from rich.console import Console

from models.errors import MissingExtra
from training.fit_state import HistoryPoint
from training.progress import BoardProgress, SilentProgress, draw_curve, show_progress

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

    with show_progress(Console(file=screen, force_terminal=True, width=160)) as progress:
        progress.begin(0, 320)
        progress.advance(160, 0.25)
        progress.note(POINT)

    text = screen.getvalue()
    assert "160/320" in text
    assert "images/s" in text
    assert "loss 0.25" in text
    assert "separation 0.875" in text


@pytest.mark.parametrize(
    ("losses", "curve"),
    [
        ([], ""),
        ([1.0], "▁"),
        ([3.0, 2.0, 1.0], "█▅▁"),
        ([float(100 - n) for n in range(100)], "██▇▇▇▆▆▅▅▅▄▄▄▃▃▂▂▂▁▁"),
    ],
)
def test_the_curve_has_the_shape_of_the_loss(losses, curve):
    assert draw_curve(losses) == curve


def test_curves_in_the_browser_need_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)

    with pytest.raises(MissingExtra, match=r"aegle\[tensorboard\]"):
        BoardProgress(tmp_path, SilentProgress())
