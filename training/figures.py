"""Evaluations to drawings: SVG that takes the page's colours, and picture strips as PNG.

Lines and texts are drawn in a placeholder colour that becomes `currentColor`, so that a figure can
be read on a light and on a dark page. Series colours are those of Okabe and Ito (2008), which
colour-blind readers can tell apart; series differ in dash or marker as well.
"""

import base64
import io
import re
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from models.overlay import draw_overlay, draw_pixels, trace_outline
from training.cohort_table import HEALTHY
from training.gallery import Picture
from training.latents import LatentSample, PriorSamples
from training.metrics import (
    Floats,
    compute_precision_recall,
    compute_roc,
    count_scores,
    rank_scores,
)
from training.units import UnitTable

PLACEHOLDER = "#010203"
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
BASELINE_COLOR = "#8a8f98"
DASHES = ("--", ":", "-.", (0, (1, 3)), (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (8, 3)), "--")
MARKERS = ("o", "^", "s", "D", "v", "P")
MASK_COLOR = np.array([255, 0, 220], dtype=np.uint8)
OPACITY = 0.6
HISTOGRAM_BINS = 40
SHOWN_SAMPLES = 8
LONGEST_SIDE_PX = 320

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": PLACEHOLDER,
    "axes.edgecolor": PLACEHOLDER,
    "axes.labelcolor": PLACEHOLDER,
    "xtick.color": PLACEHOLDER,
    "ytick.color": PLACEHOLDER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def draw_curves(units: UnitTable) -> tuple[str, str]:
    """Draw the ROC and the precision-recall curve of the bundle, those of baselines thin."""
    baselines = [name for name in units.part_names if name.startswith("baseline ")]
    figures = []
    titles = (("false alarm rate", "sensitivity"), ("recall", "precision"))
    for is_roc, (across, up) in zip((True, False), titles, strict=True):
        with mpl.rc_context(STYLE):
            figure, axes = _start(6.0, 4.6)
            for name, dash in zip(baselines, cycle(DASHES), strict=False):
                x, y = _trace(units, units.get_parts(name), is_roc=is_roc)
                label = name.removeprefix("baseline ").replace("_", " ")
                axes.plot(x, y, color=BASELINE_COLOR, lw=0.9, ls=dash, label=label)
            x, y = _trace(units, units.scores, is_roc=is_roc)
            axes.plot(x, y, color=COLORS[0], lw=2.4, label="bundle")
            axes.set(xlabel=across, ylabel=up, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
            figures.append(_finish(figure, f"curve-{across}"))
    return figures[0], figures[1]


def draw_histograms(units: UnitTable, calibration: Sequence[float], threshold: float | None) -> str:
    """Draw the scores of the calibration, of healthy test units and of each abnormal label."""
    rows = [("healthy, calibration", np.asarray(calibration, dtype=np.float64))]
    for label in [HEALTHY, *units.abnormal_labels]:
        name = "healthy, test" if label == HEALTHY else label
        rows.append((name, units.scores[units.match_labels([label])]))
    rows = [(name, values) for name, values in rows if values.size]
    everything = np.concatenate([values for _, values in rows])
    low, high = np.quantile(everything, [0.0, 0.995])
    edges = np.linspace(low, max(high, low + 1e-6), HISTOGRAM_BINS + 1)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.5 + 1.05 * len(rows)), layout="constrained")
        panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, values), color in zip(panels, rows, _row_colors(rows), strict=False):
            axes.hist(np.clip(values, edges[0], edges[-1]), bins=edges, color=color)
            axes.set_ylabel(f"{name}\n({values.size})", rotation=0, ha="right", va="center")
            axes.set_yticks([])
            if threshold is not None:
                axes.axvline(threshold, color=PLACEHOLDER, lw=1.4, ls="--")
        panels[-1].set_xlabel("score; the dashed line is the threshold; beyond the end: last bar")
        return _finish(figure, "histograms")


def draw_latents(latents: LatentSample) -> str:
    """Draw latent means on their two principal components, a colour and a marker a label."""
    points = latents.project()
    labels = np.asarray(latents.labels)
    with mpl.rc_context(STYLE):
        figure, axes = _start(6.0, 4.6)
        for index, label in enumerate(sorted(set(latents.labels), key=lambda x: (x != HEALTHY, x))):
            chosen = points[labels == label]
            color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
            style: dict[str, Any] = {
                "color": color,
                "marker": marker,
                "alpha": 0.65,
                "linewidths": 0,
            }
            axes.scatter(chosen[:, 0], chosen[:, 1], s=14, label=label, **style)
        axes.set(xlabel="first principal component", ylabel="second principal component")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
        return _finish(figure, "latents")


def draw_strip(picture: Picture) -> list[tuple[str, str]]:
    """Draw one picture as panels, each with its caption and its PNG as a data URL."""
    grey = draw_pixels(picture.pixels, picture.window)
    overlay = draw_overlay(
        picture.pixels, picture.error_map, picture.window, OPACITY, has_outline=True
    )
    panels = [
        ("scan", grey),
        ("reconstruction", draw_pixels(picture.reconstruction, picture.window)),
        ("error map, regions outlined", overlay),
    ]
    if picture.mask is not None and picture.mask.any():
        marked = grey.copy()
        marked[trace_outline(picture.mask)] = MASK_COLOR
        panels.append(("mask outlined", marked))
    return [(caption, encode_png(pixels)) for caption, pixels in panels]


def draw_samples(samples: PriorSamples) -> list[tuple[str, str, str]]:
    """Draw samples beside their nearest training slices: two PNGs and the distance."""
    return [
        (
            encode_png(_to_grey(samples.images[index, 0])),
            encode_png(_to_grey(samples.nearest[index, 0])),
            f"{samples.distances[index]:.3f}",
        )
        for index in range(min(SHOWN_SAMPLES, len(samples.images)))
    ]


def encode_png(pixels: NDArray[np.uint8]) -> str:
    """Give a picture, uint8 [H, W, 3] or [H, W], as a data URL of a PNG of limited size."""
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _trace(units: UnitTable, scores: Floats, *, is_roc: bool) -> tuple[Floats, Floats]:
    counts = count_scores(rank_scores(scores, units.is_abnormal), None)
    if is_roc:
        sensitivity, false_alarm = compute_roc(counts)
        return np.append(0.0, false_alarm), np.append(0.0, sensitivity)
    precision, recall = compute_precision_recall(counts)
    return recall, precision


def _row_colors(rows: Sequence[tuple[str, Floats]]) -> list[str]:
    healthy = sum(name.startswith("healthy, ") for name, _ in rows)
    rest = [COLORS[1 + index % (len(COLORS) - 1)] for index in range(len(rows) - healthy)]
    return [COLORS[0]] * healthy + rest


def _to_grey(image: Tensor) -> NDArray[np.uint8]:
    grey: NDArray[np.uint8] = (255.0 * image.clamp(0.0, 1.0)).round().numpy().astype(np.uint8)
    return grey


def _start(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _finish(figure: Figure, salt: str) -> str:
    """Give the figure as an SVG element: no metadata, no namespace, the page's text colour."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href").replace(PLACEHOLDER, "currentColor")
    return re.sub(r'(<svg[^>]*?)\swidth="[^"]*"|(<svg[^>]*?)\sheight="[^"]*"', r"\1\2", svg)
