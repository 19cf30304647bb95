"""Reviews in the browser, by keyboard alone."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.builders.sites import Site, await_viewer, open_context

ALL = "/worklist?all=1&sort=score"


def test_ten_cases_are_opened_judged_noted_and_undone_by_keyboard_alone(page: Page, site: Site):
    page.goto(ALL)
    count = page.locator("[data-list] tbody tr").count()
    assert count == 10
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    judged = []
    for number in range(count):
        page.wait_for_url("**/cases/**")
        page.keyboard.press("m")
        page.keyboard.type(f"Note {number}, with keys c d u z in it")
        page.keyboard.press("Escape")
        page.keyboard.press("u")
        expect(page.locator(".review-list > li")).to_have_count(1)
        page.keyboard.press("z")
        expect(page.locator(".review-list > li.is-undone")).to_have_count(1)
        page.keyboard.press("c" if number % 2 else "d")
        expect(page.locator(".review-list > li")).to_have_count(2)
        judged.append(page.url)
        page.keyboard.press("n")
        page.wait_for_url(lambda url, here=page.url: url != here)

    page.wait_for_url("**/worklist**")
    assert len(set(judged)) == count
    reviews = _list_reviews(site)
    assert sorted(review["decision"] for review in reviews if not review["undone_at"]) == sorted(
        ["dismissed", "confirmed"] * (count // 2)
    )
    assert sum(review["note"].startswith("Note ") for review in reviews) == count


def test_two_readers_of_one_case_both_see_both_reviews(browser: Browser, site: Site):
    case = site.client.get("/api/v1/cases").json()["items"][0]["id"]
    pages = []
    for name in ("Dr. Grey", "Dr. White"):
        context = open_context(browser, site, site.open_session(name))
        pages.append(context.new_page())
        pages[-1].goto(f"/cases/{case}")
    before = pages[0].locator(".review-list > li").count()

    pages[0].keyboard.press("c")
    expect(pages[0].locator(".review-list > li")).to_have_count(before + 1)
    pages[1].keyboard.press("d")
    expect(pages[1].locator(".review-list > li")).to_have_count(before + 2)

    shown = pages[1].locator(".review-list").inner_text()
    assert "Confirmed by Dr. Grey" in shown
    assert "Dismissed by Dr. White" in shown
    assert pages[1].locator(".differ").is_visible()
    for page in pages:
        page.context.close()


@pytest.mark.parametrize("key", ["c", "d", "u"])
def test_a_key_typed_into_the_note_judges_nothing(page: Page, site: Site, key: str):
    case = site.client.get("/api/v1/cases").json()["items"][1]["id"]
    page.goto(f"/cases/{case}")
    await_viewer(page)
    before = len(site.client.get(f"/api/v1/cases/{case}/history").json()["reviews"])

    page.keyboard.press("m")
    page.keyboard.type(key)

    assert page.locator("#note").input_value() == key
    after = len(site.client.get(f"/api/v1/cases/{case}/history").json()["reviews"])
    assert after == before


def _list_reviews(site: Site) -> list[dict]:
    cases = site.client.get("/api/v1/cases").json()["items"]
    return [
        review
        for case in cases
        for review in site.client.get(f"/api/v1/cases/{case['id']}/history").json()["reviews"]
    ]
