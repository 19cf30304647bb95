"""The nearest references on the page of a case."""

import re

from playwright.sync_api import Page, expect

from tests.builders.sites import Site, await_viewer


def test_a_confirmed_typical_case_is_shown_beside_others_like_it_without_a_name(
    page: Page, site: Site
):
    cases = site.client.get("/api/v1/cases", params={"verdict": "typical"}).json()["items"]
    kinds = [(case["modality"], case["body_part"], case["slice_count"]) for case in cases]
    confirmed, other = cases[0], cases[1]
    assert kinds[0] == kinds[1]
    page.goto(f"/cases/{other['id']}")
    section = page.get_by_label("Nearest references")
    expect(section).to_contain_text("None yet")

    page.goto(f"/cases/{confirmed['id']}")
    await_viewer(page)
    page.keyboard.press("c")
    expect(page.locator(".review-list > li")).to_have_count(1)
    page.goto(f"/cases/{other['id']}")

    link = section.locator(f"a[href='/cases/{confirmed['id']}']")
    expect(link).to_be_visible()
    assert page.evaluate("document.querySelector('.references img').naturalWidth") > 0
    assert confirmed["patient_name"].split("^")[1] not in section.inner_text()
    entries = site.client.get("/api/v1/audit").json()["items"]
    seen = {entry["subject"] for entry in entries if entry["detail"].get("what") == "picture"}
    assert f"case:{confirmed['id']}" in seen
    link.click()
    page.wait_for_url(re.compile(confirmed["id"]))
