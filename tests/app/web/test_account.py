"""The account page: another password, by the form alone."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from app.auth.service import prepare_setup
from app.web.drawing import TEMPLATES
from tests.app.web.test_pages import find_violations
from tests.builders.services import make_settings
from tests.builders.sites import Site, open_context, run_site

PASSWORD, NEW = "some words that make a password", "four other words instead"
LOGIN = {"name": "Admin", "password": NEW}


def fill(page: Page, current: str, new: str, again: str) -> None:
    page.get_by_label("Current password").fill(current)
    page.get_by_label("New password", exact=True).fill(new)
    page.get_by_label("New password again").fill(again)
    page.get_by_role("button", name="Change the password").click()


def set_up(site: Site) -> str:
    access = site.service.state.access
    with access.database.transaction() as session:
        secret = prepare_setup(session, access.clock.now())
    order = {"setup_secret": secret, "name": "Admin", "password": PASSWORD}
    assert site.client.post("/api/v1/setup", json=order).status_code == 201
    return site.client.cookies["aegle_session"]


def test_a_local_user_changes_the_password_on_the_account_page(browser: Browser, tmp_path: Path):
    with run_site(make_settings(tmp_path)) as site:
        context = open_context(browser, site, set_up(site))
        page = context.new_page()
        page.goto("/upload")
        page.get_by_role("link", name="Admin").click()
        assert find_violations(page) == []

        fill(page, "wrong" * 4, NEW, NEW)
        expect(
            page.get_by_role("alert").filter(has_text="current password is wrong")
        ).to_be_visible()
        fill(page, PASSWORD, NEW, NEW + "x")
        expect(page.get_by_text("The two new passwords differ.")).to_be_visible()
        fill(page, PASSWORD, NEW, NEW)

        expect(page.get_by_text("The password is changed.")).to_be_visible()
        assert find_violations(page) == []
        assert site.client.post("/api/v1/session", json=LOGIN).status_code == 201
        context.close()


def test_a_user_of_a_provider_is_sent_there(page: Page):
    page.goto("/account")

    expect(page.get_by_text("Your institution keeps your password")).to_be_visible()
    assert page.locator("input[type=password]").count() == 0


@pytest.mark.parametrize("template", ["sign_in.html.j2", "password_form.html.j2"])
def test_passwords_are_masked_and_known_to_password_managers(template: str):
    text = (TEMPLATES / template).read_text()

    fields = [
        part.partition(">")[0]
        for part in text.split("<input")[1:]
        if "password" in part.partition(">")[0]
    ]

    assert fields
    assert [field for field in fields if 'type="password"' not in field] == []
    assert [field for field in fields if '-password"' not in field] == []
    assert "onpaste" not in text
