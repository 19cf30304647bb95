"""Every page and state, dark and light: accessible, kept as pictures of all sizes of windows.

The pictures lie in `var/artefacts/pages` (or under `TEST_ARTEFACTS`), for people to look at.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app.web.test_pages import SIZES, find_violations
from tests.builders.page_states import Places, State, furnish, hand_in_report, set_up
from tests.builders.sites import Site, await_viewer, open_context

ARTEFACTS = Path(os.environ.get("TEST_ARTEFACTS", Path(__file__).parents[3] / "var" / "artefacts"))
QUALITY = 70
# For canvases to follow the size of the window.
SETTLE_MS = 150
# Seen at every size, in the dark; the others at the smallest, where least has room.
AT_EVERY_SIZE = {"worklist", "case-anomalous", "bundle", "monitoring"}


def visit(address: str) -> State:
    """Give the state of a page that was just opened."""
    return lambda page, _: page.goto(address)


def read_case(name: str, *keys: str) -> State:
    """Give the state of a case once keys were pressed."""

    def act(page: Page, places: Places) -> None:
        page.goto(places.cases[name])
        await_viewer(page)
        expect(page.locator("[aria-label='Nearest references'] h3")).to_be_visible()
        for key in keys:
            page.keyboard.press(key)

    return act


def search(page: Page, _: Places) -> None:
    page.goto("/worklist?all=1&sort=score")
    page.locator("#search").fill("doe")
    expect(page.locator("[data-list] tbody")).not_to_contain_text("Roe")
    page.locator("summary").click()


def judge(page: Page, places: Places) -> None:
    read_case("typical")(page, places)
    page.locator("#note").fill("A note of two lines:\nand the second one.")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.locator(".decision.confirmed").first).to_be_visible()


def differ(page: Page, places: Places) -> None:
    case = places.cases["anomalous"].removeprefix("/cases/")
    for decision in ("confirmed", "dismissed"):
        body = {"decision": decision}
        sent = places.site.client.post(f"/api/v1/cases/{case}/reviews", json=body)
        assert sent.status_code == 201
    read_case("anomalous")(page, places)
    expect(page.locator(".differ")).to_be_visible()


def fail_to_answer(page: Page, places: Places) -> None:
    read_case("indeterminate")(page, places)
    page.route("**/reviews", lambda route: route.abort())
    page.keyboard.press("u")
    expect(page.locator("#notice")).to_contain_text("does not answer")


def point_at_region(page: Page, places: Places) -> None:
    read_case("anomalous", "r", "o", "[")(page, places)
    expect(page.locator(".cross").first).to_be_visible()


def upload(page: Page, places: Places) -> None:
    page.goto("/upload")
    page.locator("summary").click()
    page.set_input_files("input[webkitdirectory]", places.folder)
    expect(page.locator("[data-progress]")).to_contain_text("All 2 files", timeout=60_000)


def send(page: Page, places: Places) -> None:
    page.route("**/api/v1/scans*", lambda _: None)
    page.goto("/upload")
    page.set_input_files("input[webkitdirectory]", places.folder)
    expect(page.locator("[data-progress]")).to_contain_text("Stay on this page")


def show_bundle(page: Page, places: Places) -> None:
    page.goto(places.bundle)


def show_report(page: Page, places: Places) -> None:
    hand_in_report(places.site)
    page.goto(places.bundle)
    expect(page.frame_locator("iframe.report").locator("h1")).to_be_visible()


def show_job(page: Page, places: Places) -> None:
    page.goto(places.job)
    expect(page.locator(".badge.done")).to_be_visible()


def choose_cases(page: Page, _: Places) -> None:
    page.goto("/jobs")
    page.locator("summary").click()


def make_key(page: Page, _: Places) -> None:
    page.goto("/access")
    page.get_by_label("Name", exact=True).fill("CT scanner 2")
    page.get_by_role("button", name="Make a key").click()
    expect(page.locator(".secret")).to_be_visible()


def revoke_key(page: Page, places: Places) -> None:
    make_key(page, places)
    page.goto("/access")
    with page.expect_navigation():
        page.get_by_role("button", name=re.compile("Revoke the key of CT")).first.click()
    expect(page.get_by_text("revoked").first).to_be_visible()


def show_keys(address: str) -> State:
    """Give the state of a page with the sheet of keys over it."""

    def act(page: Page, _: Places) -> None:
        page.goto(address)
        page.keyboard.press("?")
        expect(page.locator("#keys")).to_be_visible()

    return act


def fill_in_wrong(page: Page, _: Places) -> None:
    page.goto("/sign-in")
    page.get_by_label("Name").fill("Admin")
    page.get_by_label("Password").fill("wrong")
    page.locator("main").get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").filter(has_text=re.compile(".+"))).to_be_visible()


def lose_webgl(page: Page, places: Places) -> None:
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(places.cases["anomalous"])
    expect(page.locator("[data-pane=reconstruction] .pane-note")).to_be_visible()


def show_waiting(name: str) -> State:
    """Give the state of a case without finding."""
    return lambda page, places: page.goto(places.cases[name])


def sign_in(page: Page, places: Places) -> None:
    set_up(places.site)
    page.goto("/sign-in?ended=1")


STATES: dict[str, State] = {
    "worklist": visit("/worklist"),
    "worklist-searched-filters-open": search,
    "worklist-empty": visit("/worklist?all=1&verdict=typical&review=unsure"),
    "worklist-bad-filter": visit("/worklist?verdict=odd"),
    "case-anomalous": read_case("anomalous"),
    "case-typical": read_case("typical"),
    "case-indeterminate": read_case("indeterminate"),
    "case-series": read_case("series", "ArrowDown"),
    "case-side-by-side": read_case("anomalous", "l"),
    "case-one-picture-no-overlay": read_case("anomalous", "l", "l", "h"),
    "case-region-pointed-at": point_at_region,
    "case-keys": read_case("typical", "?"),
    "case-judged-with-note": judge,
    "case-reviewers-differ": differ,
    "case-service-does-not-answer": fail_to_answer,
    "case-without-webgl": lose_webgl,
    "case-coming-in": show_waiting("waiting"),
    "case-set-aside": show_waiting("set aside"),
    "case-none": visit("/cases/00000000-0000-7000-8000-000000000000"),
    "upload": visit("/upload"),
    "upload-settled-one-broken": upload,
    "upload-under-way": send,
    "bundles": visit("/bundles"),
    "bundle": show_bundle,
    "bundle-with-report": show_report,
    "jobs-choosing-cases": choose_cases,
    "jobs-none-fits": visit("/jobs?status=failed"),
    "job-with-flips-and-failures": show_job,
    "monitoring": visit("/monitoring"),
    "monitoring-without-data": visit("/monitoring?site=nowhere"),
    "audit": visit("/audit"),
    "audit-empty": visit("/audit?actor=nobody-at-all"),
    "access": visit("/access"),
    "access-key-made": make_key,
    "access-key-revoked": revoke_key,
    "account": visit("/account"),
    "help": visit("/help"),
    "keys": show_keys("/bundles"),
    "error-404": visit("/nothing"),
}
OUTSIDE: dict[str, State] = {
    "setup": visit("/sign-in"),
    "sign-in-session-ended": sign_in,
    "sign-in-wrong": fill_in_wrong,
}


@pytest.fixture(scope="module")
def places(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """A service with something of everything."""
    return furnish(site, tmp_path_factory.mktemp("files"))


def look(page: Page, name: str, scheme: str) -> list[str]:
    """Give what axe finds, and what is wider than the window; keep the pictures."""
    found = find_violations(page)
    folder = ARTEFACTS / "pages" / scheme
    sizes = SIZES if scheme == "dark" and name in AT_EVERY_SIZE else SIZES[:1]
    for width, height in sizes:
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(SETTLE_MS)
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"wider than {width} px")
        path = folder / f"{name}-{width}x{height}.jpg"
        page.screenshot(path=path, type="jpeg", quality=QUALITY, timeout=60_000)
    page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_every_page_and_state_is_accessible_and_fits_its_window(
    browser: Browser, site: Site, places: Places, scheme: str
):
    found: dict[str, list[str]] = {}
    for states, token in ((STATES, site.open_session()), (OUTSIDE, None)):
        context = open_context(browser, site, token, color_scheme=scheme)
        for name, state in states.items():
            page = context.new_page()
            state(page, places)
            found[name] = look(page, name, scheme)
            page.close()
        context.close()

    assert {name: lines for name, lines in found.items() if lines} == {}
