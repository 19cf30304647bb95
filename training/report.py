"""Evaluation to one self-contained page: no script, no request, readable in light and dark."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from models.calibration import Calibration
from models.detector import Detector
from training.evaluate import Evaluation
from training.evaluation_table import build_tables, describe_rest
from training.figures import (
    draw_curves,
    draw_histograms,
    draw_latents,
    draw_samples,
    draw_strip,
)
from training.gallery import Picture
from training.latents import KEPT_A_LABEL

PAGE = "report.html"
# Fewer points than this make no map of a latent space.
LATENTS_AT_LEAST = 3


def write_report(evaluation: Evaluation, detector: Detector, folder: Path) -> Path:
    """Write the page and give its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PAGE
    path.write_text(build_report(evaluation, detector), encoding="utf-8")
    return path


def build_report(evaluation: Evaluation, detector: Detector) -> str:
    """Give the page as HTML."""
    templates = Environment(
        loader=PackageLoader("training"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return templates.get_template("report.html.j2").render(**_prepare(evaluation, detector))


def render_card(card: str) -> Markup:
    """Turn the card's Markdown into HTML; markup, links and pictures in it stay plain text."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.disable(["link", "image", "autolink", "reference", "html_inline", "html_block"])
    return Markup(markdown.render(card))  # noqa: S704  # markdown-it has escaped it


def _prepare(evaluation: Evaluation, detector: Detector) -> dict[str, Any]:
    summary, examination = evaluation.summary, evaluation.examination
    units, latents, samples = examination.units, examination.latents, evaluation.samples
    calibration = detector.bundle.calibrations.choose(examination.usual_slice_count)
    has_both = units.is_abnormal.any() and not units.is_abnormal.all()
    return {
        "summary": summary,
        "lines": describe_rest(summary),
        "tables": list(build_tables(summary)),
        "curves": [_trust(svg) for svg in draw_curves(units)] if has_both else None,
        "histograms": _trust(draw_histograms(units, *_take_scores(calibration))),
        "false_alarms": [_show(picture) for picture in examination.gallery.false_alarms],
        "misses": [_show(picture) for picture in examination.gallery.misses],
        "latents": (
            _trust(draw_latents(latents)) if len(latents.means) >= LATENTS_AT_LEAST else None
        ),
        "latent_limit": KEPT_A_LABEL,
        "samples": draw_samples(samples) if samples else None,
        "sample_count": len(samples.images) if samples else 0,
        "card": render_card(detector.bundle.card),
    }


def _take_scores(calibration: Calibration | None) -> tuple[tuple[float, ...], float | None]:
    return (calibration.scores, calibration.threshold) if calibration else ((), None)


def _show(picture: Picture) -> dict[str, Any]:
    return {
        "name": picture.name,
        "label": picture.label,
        "score": f"{picture.score:.2f}",
        "panels": draw_strip(picture),
    }


def _trust(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704  # drawn by matplotlib, which escapes every text
