"""The page of a case as a picture: the same each time, and like the reference kept here.

Fonts differ between machines, so the reference is coarse: each of its 64 x 36 pixels is the mean of
20 x 20. What it notices is a missing picture, another layout, another theme. It is written anew by
`pytest tests/app/web/test_case_picture.py --rewrite-golden`.
"""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.builders.sites import Site, await_viewer, open_context

GOLDEN = Path(__file__).parents[2] / "golden"
CELL_PX = 20
# Text of another font moves by a line; a card or a picture that is gone moves more.
MEAN_TOLERANCE, CELL_TOLERANCE, CELLS_BEYOND = 5.0, 40.0, 0.04
SAME_TOLERANCE, PIXELS_BEYOND = 8, 0.002


def take(browser: Browser, site: Site, scheme: str) -> NDArray[np.int16]:
    """Give the page of a flagged case with regions: int16 [720, 1280, 3], 0..255; no times."""
    context = open_context(browser, site, site.open_session(), color_scheme=scheme)
    page: Page = context.new_page()
    page.goto(_find_case(site))
    await_viewer(page)
    page.locator("[aria-label='Nearest references'] h3").wait_for()
    for wanted in ("time", ".facts"):
        page.locator(wanted).first.evaluate("element => { element.hidden = true }")
    page.wait_for_timeout(300)
    content = page.screenshot()
    context.close()
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=np.int16)


def _find_case(site: Site) -> str:
    query = {"verdict": "anomalous", "sort": "score"}
    cases = site.client.get("/api/v1/cases", params=query).json()["items"]
    return f"/cases/{next(case['id'] for case in cases if case['patient_id'] == 'P3')}"


def _coarsen(picture: NDArray[np.int16]) -> NDArray[np.float64]:
    rows, columns = picture.shape[0] // CELL_PX, picture.shape[1] // CELL_PX
    return picture.reshape(rows, CELL_PX, columns, CELL_PX, 3).mean(axis=(1, 3))


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_page_of_a_case_looks_as_it_did(
    browser: Browser, site: Site, request: pytest.FixtureRequest, scheme: str
):
    found = _coarsen(take(browser, site, scheme))
    path = GOLDEN / f"case_{scheme}.png"
    if request.config.getoption("--rewrite-golden"):
        Image.fromarray(found.round().astype(np.uint8)).save(path)

    known = np.asarray(Image.open(path).convert("RGB"), dtype=np.float64)

    apart = np.abs(found - known).max(axis=-1)
    assert apart.mean() < MEAN_TOLERANCE
    assert np.mean(apart > CELL_TOLERANCE) < CELLS_BEYOND


def test_the_page_of_a_case_looks_the_same_each_time(browser: Browser, site: Site):
    first, second = (take(browser, site, "dark") for _ in range(2))

    assert np.mean(np.abs(first - second).max(axis=-1) > SAME_TOLERANCE) < PIXELS_BEYOND


def test_pictures_do_not_depend_on_the_theme(browser: Browser, site: Site):
    dark, light = (take(browser, site, scheme) for scheme in ("dark", "light"))

    pictures = np.s_[140:600, 40:900]
    apart = np.abs(dark[pictures] - light[pictures]).max(axis=-1)
    assert np.mean(apart > SAME_TOLERANCE) < PIXELS_BEYOND
