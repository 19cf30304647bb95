"""Is the stream of scores exchangeable? Conformal test martingales that may be asked at any time.

Two steps. Online conformal ranks turn scores into p-values: each score is ranked among all before
it, ties broken at random. Under exchangeability these p-values are independent and uniform (Vovk,
Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, theorem 8.2). This is exact,
while the p-values of findings, ranked among the calibration alone, share its chance: a long stream
would find out that a calibration is finite, and raise an alarm over nothing.

Then the Simple Jumper bets against uniformity (Vovk, Petej, Nouretdinov, Ahlberg, Carlsson and
Gammerman, Retrain or not retrain: conformal test martingales for change-point detection, 2021,
arXiv 2102.10439, algorithm 1). Its capital is a martingale that starts at 1: by Ville's inequality
it ever reaches 1 / delta with probability at most delta.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_BETS = (-1.0, 0.0, 1.0)
_JUMP_SHARE = 0.01
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Alarm:
    """How far a martingale went.

    `first` is the place of the scan at which the capital first reached 1 / delta, None if never.
    """

    log10_now: float
    log10_highest: float
    first: int | None


def rank_online(scores: Values, before: Values, tie_breaks: Values) -> Values:
    """Give the smoothed online conformal p-value of each score.

    p = (number above + tie_break * number equal, itself among them) / (number before + 1).

    Args:
        scores: float64 [N], in order of arrival; higher is stranger.
        before: float64 [M], scores that came before all of them, such as a calibration's; may be
            empty.
        tie_breaks: float64 [N], 0..1, drawn independently of the scores.

    Returns:
        float64 [N], 0..1; small where a score is stranger than those before it.
    """
    seen = np.sort(before)
    p_values = np.empty(len(scores))
    for start in range(0, len(scores), _BLOCK):
        block = scores[start : start + _BLOCK]
        stop = start + len(block)
        not_below = len(seen) - np.searchsorted(seen, block, side="left")
        above = len(seen) - np.searchsorted(seen, block, side="right")
        earlier = np.tri(len(block), k=-1, dtype=np.bool_)
        above_in_block = ((block[None, :] > block[:, None]) & earlier).sum(axis=1)
        equal_in_block = ((block[None, :] == block[:, None]) & earlier).sum(axis=1)
        equal = not_below - above + equal_in_block + 1
        count = len(before) + np.arange(start, stop) + 1
        p_values[start:stop] = (above + above_in_block + tie_breaks[start:stop] * equal) / count
        seen = np.sort(np.concatenate([seen, block]), kind="stable")
    return p_values


def follow_jumper(p_values: Values) -> Values:
    """Give the capital of the Simple Jumper after each p-value.

    Args:
        p_values: float64 [N], 0..1, in order of arrival.

    Returns:
        float64 [N], log10 of the capital; 0 at the start, 2 where it has grown a hundredfold.
    """
    shares = [1.0 / len(_BETS)] * len(_BETS)
    log_capital = 0.0
    path = np.empty(len(p_values))
    for place, p_value in enumerate(p_values.tolist()):
        grown = [
            ((1.0 - _JUMP_SHARE) * share + _JUMP_SHARE / len(_BETS)) * (1.0 + bet * (p_value - 0.5))
            for share, bet in zip(shares, _BETS, strict=True)
        ]
        growth = sum(grown)
        shares = [each / growth for each in grown]
        log_capital += math.log10(growth)
        path[place] = log_capital
    return path


def find_alarm(path: Values, delta: float) -> Alarm:
    """Tell how far a martingale went, and when it first reached 1 / delta."""
    if not len(path):
        return Alarm(0.0, 0.0, None)
    reached = np.flatnonzero(path >= -np.log10(delta))
    first = int(reached[0]) if len(reached) else None
    return Alarm(float(path[-1]), max(0.0, float(path.max())), first)
