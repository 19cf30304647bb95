"""How long people wait for pages, in the browser; each held against its bar in milliseconds."""

import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench.ratio import Ratio
from tests.builders.bundles import train_tiny_bundle
from tests.builders.cases import fill_worklist
from tests.builders.dicom import AXIAL, build_dicom
from tests.builders.evaluations import write_lesion_cohort
from tests.builders.services import make_settings
from tests.builders.sites import Site, await_viewer, launch, open_context, run_site, tell_why_not

CASES = 100_000
SLICES, SIDE = 120, 512
WORKLIST_MS, FIRST_PICTURE_MS, SLICE_MS = 300.0, 1000.0, 50.0
TURNS = 40
# For what the page before had asked for, and for slices to be fetched ahead.
SETTLE_MS = 4000

# From the key to the slice on the screen, told by the viewer when it has drawn.
_TURN = """async () => {
  const root = document.querySelector("#viewer");
  const before = root.dataset.slice;
  const started = performance.now();
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
  while (root.dataset.slice === before) await new Promise((done) => setTimeout(done, 0));
  return performance.now() - started;
}"""
# From the navigation to the picture on the screen, as the browser itself notes it.
_FIRST_PICTURE = """() => new Promise((done) => {
  const tell = (list) => {
    const found = list.getEntries().find((entry) => entry.identifier === "first-picture");
    if (found) done(found.renderTime);
  };
  new PerformanceObserver(tell).observe({ type: "element", buffered: true });
})"""


def measure_pages(folder: Path, rounds: int) -> list[Ratio]:
    """Measure the worklist of many cases and the page of a large series."""
    if reason := tell_why_not():
        raise SystemExit(reason)
    cohort = write_lesion_cohort(folder / "cohort", has_series=False)
    bundle = train_tiny_bundle(cohort, folder / "tiny", folder / "work")
    with (
        run_site(make_settings(folder / "site", bundle=bundle)) as site,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright)
        found = [*_measure_case(browser, site, rounds), *_measure_worklist(browser, site, rounds)]
        browser.close()
    return found


def _measure_worklist(browser: Browser, site: Site, rounds: int) -> list[Ratio]:
    access = site.service.state.access
    with access.database.transaction() as session:
        fill_worklist(session, CASES, access.clock.now())
    page = open_context(browser, site, site.open_session()).new_page()
    first = [_time(lambda: page.goto("/worklist?all=1&sort=score")) for _ in range(3 * rounds)]
    following = [_time(lambda: _turn_page(page)) for _ in range(3 * rounds)]
    return [
        _hold(f"worklist of {CASES} cases", median(first), WORKLIST_MS),
        _hold("its next page", median(following), WORKLIST_MS),
    ]


def _measure_case(browser: Browser, site: Site, rounds: int) -> list[Ratio]:
    case = site.send(_build_series())["id"]
    page = open_context(browser, site, site.open_session()).new_page()
    first = []
    for _ in range(rounds):
        page.goto("/upload")
        page.wait_for_timeout(SETTLE_MS)
        site.service.state.shelf._scans.clear()
        page.goto(f"/cases/{case}")
        first.append(float(page.evaluate(_FIRST_PICTURE)))
        await_viewer(page)
    page.wait_for_timeout(SETTLE_MS)
    turns = [float(page.evaluate(_TURN)) for _ in range(TURNS)]
    name = f"{SIDE} x {SIDE} x {SLICES}"
    return [
        _hold(f"first picture of {name}", median(first), FIRST_PICTURE_MS),
        _hold(f"next slice of {name}", median(turns), SLICE_MS),
    ]


def _turn_page(page: Page) -> None:
    with page.expect_response("**/worklist/rows"):
        page.keyboard.press("]")
    page.wait_for_selector("[data-list]")


def _build_series() -> bytes:
    generator = np.random.default_rng(3)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    body = (np.hypot(rows - SIDE / 2, columns - SIDE / 2) < SIDE / 3) * 900
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(SLICES):
            pixels = (body + generator.integers(0, 200, body.shape) + number).astype(np.uint16)
            content = build_dicom(
                pixels,
                ImageOrientationPatient=AXIAL,
                ImagePositionPatient=[0.0, 0.0, 2.0 * number],
                PixelSpacing=[0.7, 0.7],
            )
            archive.writestr(f"{number:04}.dcm", content)
    return stream.getvalue()


def _time(act: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    act()
    return 1000 * (time.perf_counter() - started_s)


def _hold(name: str, measured_ms: float, bar_ms: float) -> Ratio:
    return Ratio(name, measured_ms, bar_ms, "ms", 1.0, "at most")
