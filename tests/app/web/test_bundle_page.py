"""The page of a bundle: its card, and its evaluation report in a frame that can do nothing."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.app.web.test_pages import find_violations
from tests.builders.sites import Site, open_context


def test_a_report_is_handed_in_and_shown_without_being_able_to_run_anything(
    browser: Browser, site: Site, tmp_path: Path
):
    digest = site.client.get("/api/v1/bundles").json()["items"][0]["digest"]
    file = tmp_path / "report.html"
    context = open_context(browser, site, site.open_session())
    page = context.new_page()
    answered: list[str] = []
    page.on("response", lambda response: answered.append(response.url))
    page.goto(f"/bundles/{digest}")
    expect(page.locator("#report")).to_contain_text("Nobody has handed one in")

    file.write_text("<html><p>of another bundle</p></html>")
    page.set_input_files("[data-report-file]", file)
    expect(page.locator("#notice")).to_contain_text("does not name the digest of this bundle")
    assert page.locator("iframe.report").count() == 0

    file.write_text(
        f"<html><style>p {{ color: rgb(1, 2, 3) }}</style><p>{digest}</p>"
        "<script>document.title = 'run'; document.querySelector('p').textContent = 'run'</script>"
        "<img src='https://elsewhere.example/x.png'></html>"
    )
    page.set_input_files("[data-report-file]", file)
    frame = page.frame_locator("iframe.report")

    expect(frame.locator("p")).to_have_text(digest)
    expect(frame.locator("p")).to_have_css("color", "rgb(1, 2, 3)")
    assert page.title() == "Bundle · Aegle"
    assert [url for url in answered if not url.startswith(site.address)] == []
    assert find_violations(page) == []
    context.close()
