import pytest

from training.progress import draw_curve


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
