"""Pictures of the pages for the README, from the demonstration: `make screenshots`."""

import csv
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.builders.services import make_settings
from tests.builders.sites import Site, await_viewer, launch, open_context, run_site, tell_why_not

DEMO = Path("var/demo")
TARGET = Path("docs/pictures")
QUALITY = 72
EVERY_LESION, EVERY_HEALTHY = 7, 12


def main() -> None:
    """Score some scans of the demonstration and take the pictures."""
    reason = tell_why_not() or (
        "" if (DEMO / "bundle").is_dir() else "no bundle: make demo SERVE=0"
    )
    if reason:
        sys.exit(reason)
    TARGET.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        run_site(make_settings(Path(folder), bundle=DEMO / "bundle")) as site,
        sync_playwright() as playwright,
    ):
        for scan in choose_scans(DEMO / "cohort"):
            site.send(scan.read_bytes(), site="Demonstration")
        browser = launch(playwright)
        for scheme in ("light", "dark"):
            context = open_context(browser, site, site.open_session(), color_scheme=scheme)
            take_pictures(context.new_page(), site, scheme)
            context.close()
        browser.close()


def choose_scans(cohort: Path) -> list[Path]:
    """Give some test scans, abnormal and healthy ones."""
    with (cohort / "cohort.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    abnormal = [row for row in rows if row["label"] != "healthy"][::EVERY_LESION]
    healthy = [row for row in rows if row["label"] == "healthy"][::EVERY_HEALTHY]
    return [cohort / row["path"] for row in (*abnormal, *healthy)]


def take_pictures(page: Page, site: Site, scheme: str) -> None:
    """Take the worklist in light and a case in dark."""
    if scheme == "light":
        page.goto("/worklist")
        snap(page, "worklist")
        return
    cases = site.client.get("/api/v1/cases", params={"sort": "score"}).json()["items"]
    page.goto(f"/cases/{cases[0]['id']}")
    await_viewer(page)
    page.wait_for_timeout(500)
    snap(page, "case")


def snap(page: Page, name: str) -> None:
    """Write one picture."""
    page.screenshot(path=TARGET / f"{name}.jpg", type="jpeg", quality=QUALITY)


if __name__ == "__main__":
    main()
