"""The report is one page that asks for nothing and hides nothing."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from models.detector import Detector
from tests.builders.evaluations import build_detector, write_lesion_cohort
from tests.builders.networks import make_generator, make_images, make_network
from training.baseline_scores import HealthySlices
from training.cohort import read_cohort
from training.evaluate import Evaluation, evaluate_detector
from training.evaluation_options import EvaluationOptions
from training.figures import MASK_COLOR, draw_strip
from training.gallery import KEPT_AT_MOST, Gallery, Picture
from training.latents import draw_prior_samples
from training.report import build_report, render_card, write_report
from training.units import Unit


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Detector]:
    folder = tmp_path_factory.mktemp("cohort")
    cohort = read_cohort(write_lesion_cohort(folder, has_series=False))
    detector = build_detector(cohort, "vae")
    bundle = dataclasses.replace(
        detector.bundle, card="# Card\n\n[link](http://x.org) <script>no()</script>\n"
    )
    detector = Detector(bundle, detector.pipeline)
    options = EvaluationOptions(seed=0, resamples=20)
    return evaluate_detector(detector, cohort, options, lambda: None), detector


class TagChecker(HTMLParser):
    """Collects tags, and every attribute that could make a browser ask for something."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in {"src", "href", "srcset", "action", "data", "poster"}:
                self.addresses.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)


def test_the_page_asks_for_nothing_and_runs_nothing(
    evaluated: tuple[Evaluation, Detector],
) -> None:
    page = build_report(*evaluated)
    checker = TagChecker()
    checker.feed(page)

    assert not checker.tags & {"script", "iframe", "object", "embed", "link", "a", "form", "base"}
    assert not checker.handlers
    assert all(each.startswith(("data:image/png;base64,", "#")) for each in checker.addresses)
    assert "@import" not in page
    assert all(url.startswith("#") for url in re.findall(r"url\(([^)]*)\)", page))


def test_markup_in_names_is_shown_not_obeyed(evaluated: tuple[Evaluation, Detector]) -> None:
    page = build_report(*evaluated)

    assert "tiny &lt;b&gt;bundle&lt;/b&gt;" in page
    assert "<b>bundle" not in page


def test_links_and_markup_of_the_card_stay_text() -> None:
    html = render_card("[a](http://x.org) ![b](http://x.org/c.png) <img src=x>\n\n| a |\n|---|\n")

    assert "<a" not in html
    assert "<img" not in html
    assert "<table>" in html


def test_the_page_says_that_the_bundle_is_synthetic_and_not_for_diagnosis(
    evaluated: tuple[Evaluation, Detector],
) -> None:
    page = build_report(*evaluated)

    assert "Not for diagnostic use" in page
    assert "synthetic scans, for demonstration only" in page


def test_figures_take_the_colour_of_the_page(evaluated: tuple[Evaluation, Detector]) -> None:
    page = build_report(*evaluated)

    assert "currentColor" in page
    assert "prefers-color-scheme: dark" in page
    assert "#010203" not in page


def test_every_part_is_on_the_page(evaluated: tuple[Evaluation, Detector]) -> None:
    page = build_report(*evaluated)

    for part in ("ROC curve", "Histograms of scores", "Worst false alarms", "Worst misses"):
        assert part in page
    for part in ("Latent space in two dimensions", "Samples from the prior", "Card of the bundle"):
        assert part in page


def test_a_network_without_latent_says_so(tmp_path: Path) -> None:
    cohort = read_cohort(write_lesion_cohort(tmp_path / "cohort", has_series=True))
    detector = build_detector(cohort, "denoising_unet")
    options = EvaluationOptions(seed=0, resamples=20)
    evaluation = evaluate_detector(detector, cohort, options, lambda: None)

    page = write_report(evaluation, detector, tmp_path / "report").read_text(encoding="utf-8")

    assert "no dense latent" in page
    assert "Samples from the prior" not in page


def make_picture(score: float, mask: np.ndarray | None = None) -> Picture:
    pixels = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    error_map = np.zeros((8, 8), dtype=np.float32)
    return Picture("a", "blob", score, pixels, pixels, error_map, mask, (0.0, 1.0))


def make_unit(score: float, label: str, verdict: str) -> Unit:
    return Unit(f"{label}{score}", "p", label, score, verdict, "", {}, {})  # type: ignore[arg-type]  # a verdict


def test_the_gallery_keeps_the_worst_and_builds_no_other_picture() -> None:
    gallery = Gallery()
    built: list[float] = []

    def offer(score: float, label: str, verdict: str) -> None:
        unit = make_unit(score, label, verdict)
        gallery.offer(unit, lambda: built.append(score) or make_picture(score))

    for score in (9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 10.0):
        offer(score, "healthy", "anomalous")
    for score in (1.0, -2.0):
        offer(score, "blob", "typical")
    offer(99.0, "blob", "anomalous")
    offer(-99.0, "healthy", "typical")

    assert [picture.score for picture in gallery.false_alarms] == [10, 9, 8, 7, 6, 5]
    assert len(gallery.false_alarms) == KEPT_AT_MOST
    assert [picture.score for picture in gallery.misses] == [-2, 1]
    assert built == [9, 8, 7, 6, 5, 4, 10, 1, -2]


def test_a_strip_outlines_the_mask_only_where_there_is_one() -> None:
    mask = np.zeros((8, 8), dtype=bool)
    mask[2:5, 2:5] = True

    with_mask = draw_strip(make_picture(0.0, mask))
    without = draw_strip(make_picture(0.0))

    assert [caption for caption, _ in with_mask][-1] == "mask outlined"
    assert len(with_mask) == len(without) + 1
    assert MASK_COLOR.tolist() == [255, 0, 220]


def test_samples_stand_beside_the_nearest_slice_of_another_patient() -> None:
    images = make_images(12)
    patients = tuple(f"p{index // 2}" for index in range(12))
    healthy = HealthySlices(images, images > 0, patients, available=12, read=12)

    samples = draw_prior_samples(make_network("vae").eval(), healthy, make_generator())

    assert samples is not None
    apart = (samples.images[0] - images).square().mean(dim=(1, 2, 3)).sqrt()
    assert samples.distances[0] == pytest.approx(float(apart.min()), rel=1e-3)
    own = [(images[0] - images[k]).square().mean().sqrt() for k in range(2, 12)]
    assert samples.healthy_distances[0] == pytest.approx(float(min(own)), rel=1e-3)


def test_other_networks_have_no_samples() -> None:
    images = make_images(4)
    healthy = HealthySlices(images, images > 0, ("a", "b", "c", "d"), available=4, read=4)

    assert draw_prior_samples(make_network("ae"), healthy, make_generator()) is None
