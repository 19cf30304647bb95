"""Every page and state in the browser: accessible, in both themes, at all sizes."""

import re
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from app.auth.service import prepare_setup
from tests.app.web.conftest import MARKUP
from tests.builders.dicom import AXIAL, build_dicom, make_ramp
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture
from tests.builders.services import make_settings
from tests.builders.sites import Site, await_viewer, open_context, run_site

SIZES = [(1280, 720), (1920, 1080), (2560, 1440), (3840, 2160)]


def find_violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{item['id']}: {node['html'][:160]}" for item in found for node in item["nodes"]]


def find_case(site: Site, verdict: str) -> str:
    cases = site.client.get("/api/v1/cases", params={"verdict": verdict}).json()["items"]
    return f"/cases/{cases[0]['id']}"


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_case_fits_every_screen(browser: Browser, site: Site, width: int, height: int):
    screen = {"width": width, "height": height}
    context = open_context(browser, site, site.open_session(), viewport=screen)
    page = context.new_page()
    page.goto(find_case(site, "anomalous"))
    await_viewer(page)

    for wanted in (".not-diagnostic", "[data-decide=unsure]", "[data-next-case]", ".legend"):
        box = page.locator(wanted).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= height
    picture = page.locator("[data-pane=scan]").bounding_box()
    assert picture is not None
    assert picture["height"] > 0.55 * height
    context.close()


def test_markup_in_a_name_stays_text_and_out_of_titles(page: Page):
    page.goto("/worklist?all=1&sort=time")
    text = page.locator("[data-list]").inner_text()
    assert "<script>alert(1)</script>, <b>Bold</b>" in text
    assert page.locator("[data-list] script, [data-list] b").count() == 0

    page.get_by_role("link", name="<script>alert(1)</script>").first.click()
    page.wait_for_url("**/cases/**")

    assert page.locator("h1").inner_text() == "<script>alert(1)</script>, <b>Bold</b>"
    assert page.title() == "Case · Aegle"
    assert MARKUP.split("^", maxsplit=1)[0] not in page.url


def test_what_is_searched_for_is_kept_and_stands_in_no_address(page: Page):
    addresses = []
    page.on("request", lambda request: addresses.append(request.url))
    page.goto("/worklist?all=1&sort=time")
    page.keyboard.press("/")
    page.keyboard.type("case4")
    expect(page.locator("[data-list] tbody tr")).to_have_count(1)

    assert page.locator("[data-list] tbody th").inner_text().startswith("Doe, Case4")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/cases/**")
    page.keyboard.press("b")
    page.wait_for_url("**/worklist**")
    expect(page.locator("[data-list] tbody tr")).to_have_count(1)
    expect(page.locator("#search")).to_have_value("case4")
    page.goto("/worklist?all=1&sort=time")
    expect(page.locator("#search")).to_have_value("")
    assert [url for url in (*addresses, page.url) if "case4" in url.lower()] == []
    assert "case4" not in find_stored(page).lower()


def find_stored(page: Page) -> str:
    return page.evaluate("JSON.stringify(localStorage) + JSON.stringify(sessionStorage)")


def test_a_session_that_ends_leads_back_to_the_sign_in(page: Page, site: Site):
    address = find_case(site, "typical")
    page.goto(address)
    await_viewer(page)
    page.context.clear_cookies()

    page.keyboard.press("c")
    page.wait_for_url("**/sign-in?ended=1**")
    assert "Your session has ended" in page.locator("main").inner_text()

    page.goto(address)
    page.wait_for_url(re.compile(r"/sign-in\?next=/cases/"))


def test_a_folder_with_a_broken_file_gets_a_verdict_for_each_file(page: Page, tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(3):
        picture = encode_picture(draw_scan(700 + number, has_lesion=False), "png")
        (folder / f"scan{number}.png").write_bytes(picture)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"no picture" * 9)
    page.goto("/upload")

    page.set_input_files("input[webkitdirectory]", folder)

    expect(page.locator("[data-progress]")).to_have_text("All 4 files settled.", timeout=60_000)
    rows = page.locator("[data-files] tbody tr").all_inner_texts()
    broken = next(row for row in rows if "broken.png" in row)
    assert "Refused" in broken
    others = [row for row in rows if "broken.png" not in row]
    assert all(re.search("Typical|Anomalous|Indeterminate", row) for row in others)


def test_a_folder_with_a_series_and_a_broken_slice_gets_an_outcome_for_each_file(
    page: Page, tmp_path: Path
):
    folder = tmp_path / "series"
    folder.mkdir()
    for number in range(4):
        place = {"ImageOrientationPatient": AXIAL, "ImagePositionPatient": [0.0, 0.0, 3.0 * number]}
        picture = draw_scan(740 + number, has_lesion=False).astype(np.uint16)
        content = build_dicom(picture, PixelSpacing=[1.0, 1.0], **place)
        (folder / f"slice{number}.dcm").write_bytes(content)
    other = build_dicom(make_ramp(40, 40), SeriesInstanceUID="1.2.3.4.5")
    (folder / "broken.dcm").write_bytes(other[: len(other) // 2])
    page.goto("/upload")

    page.set_input_files("input[webkitdirectory]", folder)

    expect(page.locator("[data-progress]")).to_have_text("All 5 files settled.", timeout=60_000)
    rows = page.locator("[data-files] tbody tr").all_inner_texts()
    broken = next(row for row in rows if "broken.dcm" in row)
    assert re.search("Refused|set aside", broken)
    others = [row for row in rows if "broken.dcm" not in row]
    assert len(others) == 4
    assert all(re.search("Typical|Anomalous|Indeterminate", row) for row in others)
    links = page.locator("[data-files] tr:not(.refused) a")
    assert len(set(links.evaluate_all("all => all.map(link => link.href)"))) == 1


def test_leaving_during_an_upload_is_warned_of(page: Page, tmp_path: Path):
    file = tmp_path / "scan.png"
    file.write_bytes(encode_picture(draw_scan(720, has_lesion=False), "png"))
    held: list[Route] = []
    page.route("**/api/v1/scans*", lambda route: held.append(route))  # noqa: PLW0108 - a builtin cannot be looked into
    page.goto("/upload")
    page.set_input_files("input[multiple]:not([webkitdirectory])", file)
    expect(page.locator("[data-progress]")).to_contain_text("Stay on this page")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))

    page.locator(".drop").click()
    page.evaluate("setTimeout(() => location.assign('/worklist'), 0)")
    page.wait_for_timeout(500)

    assert asked == ["beforeunload"]
    assert page.url.endswith("/upload")
    held[0].continue_()
    expect(page.locator("[data-progress]")).to_have_text("All 1 files settled.", timeout=60_000)


def test_a_slow_service_keeps_the_first_picture_until_the_viewer_is_there(page: Page, site: Site):
    page.route("**/slices/**", lambda route: (page.wait_for_timeout(700), route.continue_()))
    page.goto(find_case(site, "anomalous"))

    expect(page.locator(".first-picture")).to_be_visible()
    assert page.evaluate("document.querySelector('.first-picture').naturalWidth") > 0
    await_viewer(page)
    expect(page.locator(".first-picture")).to_be_hidden()


def test_a_service_that_does_not_answer_is_told_beside_the_page(page: Page, site: Site):
    page.goto(find_case(site, "typical"))
    await_viewer(page)
    page.route("**/reviews", lambda route: route.abort())

    page.keyboard.press("c")

    expect(page.locator("#notice")).to_contain_text("does not answer")


def test_without_webgl_the_services_own_pictures_are_shown(browser: Browser, site: Site):
    context = open_context(browser, site, site.open_session())
    page = context.new_page()
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    page.goto(find_case(site, "anomalous"))

    expect(page.locator("[data-pane=reconstruction] .pane-note")).to_have_text(
        "This browser draws no WebGL 2."
    )
    expect(page.locator(".first-picture")).to_be_visible()
    context.close()


def test_a_failed_engine_is_told_on_every_page(browser: Browser, tmp_path: Path, tiny_bundle: Path):
    with run_site(make_settings(tmp_path, bundle=tiny_bundle)) as site:
        context = open_context(browser, site, site.open_session())
        page = context.new_page()
        site.service.state.road.line.engine.fail("the bundle no longer reproduces its own check")

        page.goto("/worklist")

        assert "no longer reproduces its own check" in page.locator(".alarm").inner_text()
        assert find_violations(page) == []
        context.close()


def test_the_theme_switch_holds_on_the_next_page(page: Page):
    page.goto("/upload")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("[data-theme-switch]").click()
    page.goto("/worklist")

    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_a_newcomer_goes_from_setup_to_a_first_review_by_the_page_alone(
    browser: Browser, tmp_path: Path, tiny_bundle: Path
):
    with run_site(make_settings(tmp_path, bundle=tiny_bundle)) as site:
        secret = _draw_secret(site)
        context = open_context(browser, site)
        page = context.new_page()
        page.goto("/")
        page.get_by_label("Setup secret").fill(secret)
        page.get_by_label("Your name").fill("New Reader")
        page.get_by_label("New password").fill("some words that make a password")
        page.get_by_role("button", name="Set up and sign in").click()
        page.get_by_role("link", name="Upload scans").click()
        file = tmp_path / "scan.png"
        file.write_bytes(encode_picture(draw_scan(730, has_lesion=True), "png"))
        page.set_input_files("input[multiple]:not([webkitdirectory])", file)
        page.get_by_role("link", name="Open the case").click()
        page.get_by_role("button", name=re.compile("Confirm")).click()

        expect(page.locator(".review-list")).to_contain_text("Confirmed by New Reader")
        context.close()


def _draw_secret(site: Site) -> str:
    access = site.service.state.access
    with access.database.transaction() as session:
        secret = prepare_setup(session, access.clock.now())
    assert secret is not None
    return secret


def test_every_view_of_a_page_stands_in_the_audit_trail(page: Page, site: Site):
    address = find_case(site, "typical")
    page.goto("/worklist")
    page.goto(address)

    entries = site.client.get("/api/v1/audit").json()["items"]
    seen = {(entry["action"], entry["subject"]) for entry in entries}
    assert ("page_viewed", "page:worklist") in seen
    assert ("case_viewed", f"case:{address.removeprefix('/cases/')}") in seen


def test_every_region_leads_to_its_peak(page: Page, site: Site):
    address = find_case(site, "anomalous")
    case = address.removeprefix("/cases/")
    regions = site.client.get(f"/api/v1/cases/{case}").json()["finding"]["regions"]
    page.goto(address)
    await_viewer(page)

    told = page.locator("[data-region]").evaluate_all("all => all.map(x => x.dataset.region)")

    peaks = [(region["slice_index"], *region["peak"]) for region in regions[: len(told)]]
    assert np.array_equal([tuple(map(int, text.split(","))) for text in told], peaks)
