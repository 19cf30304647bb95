"""Every page can be reached from the navigation by those who may use it, and by nobody else."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from app.auth.permissions import Role
from tests.builders.sites import Site, open_context

READER = ["Worklist", "Upload", "Bundles", "Jobs", "Monitoring"]
REACH = {
    Role.SENDER: ["Upload"],
    Role.READER: READER,
    Role.ADMIN: [*READER, "Audit", "Access"],
}
CASES = "/api/v1/cases"


@pytest.mark.parametrize("role", list(Role))
def test_the_navigation_leads_to_every_page_of_a_role_and_to_no_other(
    browser: Browser, site: Site, role: Role
):
    context = open_context(browser, site, site.open_session("Somebody", role))
    page = context.new_page()
    page.goto("/")

    assert page.locator(".top nav a").all_inner_texts() == REACH[role]
    for name in REACH[role]:
        page.locator(".top nav a", has_text=name).click()
        page.wait_for_url(f"**/{name.lower()}**")
        expect(page.locator(".top nav [aria-current=page]")).to_have_text(name)
        assert page.locator("main h1").count() == 1
    for name in set(REACH[Role.ADMIN]) - set(REACH[role]):
        answer = page.goto(f"/{name.lower()}")
        assert answer is not None
        assert answer.status == 403
        expect(page.locator("main h1")).to_have_text("You may not do this")
    page.goto("/upload")
    page.locator(".who").click()
    page.wait_for_url("**/account")
    context.close()


def test_a_job_is_started_for_some_cases_and_found_again_by_its_status(page: Page, site: Site):
    page.goto("/jobs")
    page.locator("summary", has_text="Only some cases").click()
    page.get_by_label("Verdict").select_option("indeterminate")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile("/jobs/[0-9a-f-]{36}"))

    expect(page.locator(".badge.done")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Indeterminate; started")
    count = len(site.client.get(CASES, params={"verdict": "indeterminate"}).json()["items"])
    expect(page.locator("#progress")).to_contain_text(f"{count} of {count} cases")

    page.goto("/jobs")
    page.get_by_label("Status").select_option("done")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody")).to_contain_text("Indeterminate")
    page.goto("/jobs?status=failed")
    expect(page.locator(".empty")).to_contain_text("No job fits")


@pytest.mark.parametrize("address", ["/jobs?status=odd", "/jobs?bundle=x", "/jobs?cursor=x"])
def test_a_filter_of_jobs_that_is_none_of_ours_is_refused(site: Site, address: str):
    answer = site.client.get(address, headers={"Accept": "text/html"})

    assert answer.status_code in {400, 422}


def test_the_worklist_is_sorted_by_modality_pictures_without_one_last(page: Page, site: Site):
    page.goto("/worklist?all=1&sort=score")

    page.get_by_label("Order").select_option("modality")

    expect(page.locator("[data-list] tbody tr").first).to_contain_text("Roe, Colour")
    told = site.client.get(CASES, params={"sort": "modality"}).json()["items"]
    modalities = [case["modality"] or "" for case in told]
    assert modalities == sorted(modalities, reverse=True)
    assert modalities[0]
