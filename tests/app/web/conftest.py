"""One service with a handful of cases, and one browser, for the tests of the pages."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture
from tests.builders.scans import make_dicom
from tests.builders.services import make_settings
from tests.builders.sites import Site, launch, open_context, run_site, tell_why_not

MARKUP = "<script>alert(1)</script>^<b>Bold</b>=<i>x</i>"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser of this test process."""
    reason = tell_why_not()
    if reason:
        pytest.skip(reason)
    # A machine under load is slow, not wrong.
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service with ten cases of every verdict, one of them with markup in its names."""
    if reason := tell_why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("site")
    with run_site(make_settings(folder, bundle=tiny_bundle)) as site:
        for number in range(8):
            picture = encode_picture(draw_scan(900 + number, has_lesion=number % 2 == 0), "png")
            site.send(picture, patient_id=f"P{number // 2}", patient_name=f"Doe^Case{number}")
        grey = draw_scan(950, has_lesion=False)
        colored = np.stack([grey, grey // 2, grey // 4], axis=-1)
        site.send(encode_picture(colored, "png"), patient_name="Roe^Colour", modality="XC")
        site.send(
            make_dicom(draw_scan(960, has_lesion=True), PatientName=MARKUP, PatientID="<P9>"),
            accession='"><script>alert(1)</script>',
        )
        yield site


@pytest.fixture
def context(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    """A browser of somebody with all permissions."""
    context = open_context(browser, site, site.open_session())
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, site: Site) -> Iterator[Page]:
    """A page whose every request must stay at the service, and whose scripts must not fail."""
    page = context.new_page()
    elsewhere: list[str] = []
    broken: list[str] = []
    page.on("request", lambda request: elsewhere.append(request.url))
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("console", lambda line: broken.append(line.text) if line.type == "error" else None)
    yield page
    ours = (site.address, "data:", "blob:")
    assert [url for url in elsewhere if not url.startswith(ours)] == []
    # An answer that refuses is written there by the browser, and by htmx once more.
    told = ("Failed to load resource", "htmx:")
    assert [text for text in broken if not text.startswith(told)] == []
