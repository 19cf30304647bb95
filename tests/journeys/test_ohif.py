"""OHIF lists a study of ours and draws its Parametric Map over the scan; the pictures are kept."""

import io
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image

from tests.builders.processes import ServiceProcess
from tests.builders.stow import DICOM_TYPE, build_message
from tests.builders.viewer import run_viewer

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")

pytestmark = [pytest.mark.slow, pytest.mark.real_data, pytest.mark.timeout(600)]

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
WAIT_S = 120.0
LOAD_MS = 120_000


@pytest.fixture
def dist() -> Path:
    """OHIF as npm hands it out."""
    folder = os.environ.get("OHIF_DIST")
    if folder is None or not CHROMIUM.is_file():
        pytest.skip("no OHIF: npm pack @ohif/app, unpack, OHIF_DIST=package/dist; and chromium")
    return Path(folder)


@pytest.fixture
def series() -> list[bytes]:
    """A real MR series of a head."""
    folder = os.environ.get("AEGLE_REAL_DATA")
    if folder is None:
        pytest.skip("AEGLE_REAL_DATA is not set: no real MR series")
    files = sorted((Path(folder) / "dicom" / "mr_head_schwannoma").iterdir())
    return [path.read_bytes() for path in files]


@pytest.fixture
def service(
    tiny_bundle: Path, series: list[bytes], tmp_path: Path
) -> Iterator[tuple[ServiceProcess, str]]:
    """A service that holds the series and its results, and the UID of the study."""
    with ServiceProcess(tmp_path, tiny_bundle, dicom_quiet_s=0) as process:
        process.await_ready()
        with process.open_client() as client:
            body, kind = build_message(*series), {"Content-Type": DICOM_TYPE}
            client.post("/dicom-web/studies", content=body, headers=kind).raise_for_status()
            yield process, await_results(client)


def await_results(client: httpx2.Client) -> str:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        (study,) = client.get("/dicom-web/studies").json()
        if "SEG" in study["00080061"]["Value"]:
            return str(study["0020000D"]["Value"][0])
        time.sleep(0.5)
    raise TimeoutError("no results came")


def test_ohif_lists_the_study_and_draws_the_parametric_map(dist, service, tmp_path):
    process, study = service
    kept = Path(os.environ.get("TEST_ARTEFACTS", tmp_path))
    address = f"http://127.0.0.1:{process.port}"
    with run_viewer(dist, address, process.key) as url, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=SWITCHES)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(url)
        page.get_by_text("VS-SEG-001").first.wait_for(timeout=LOAD_MS)
        page.screenshot(path=kept / "ohif_list.png")

        page.goto(f"{url}/viewer?StudyInstanceUIDs={study}")
        page.get_by_text("Skip all").click(timeout=LOAD_MS)
        page.wait_for_timeout(5000)
        before = page.screenshot(path=kept / "ohif_scan.png")
        page.get_by_text("Aegle error map").first.dblclick(timeout=LOAD_MS)
        after = await_colours(page, kept / "ohif_parametric_map.png")
        browser.close()

    assert count_coloured(before) < 2000
    assert count_coloured(after) > 20_000


def await_colours(page, path: Path) -> bytes:
    """Wait until the map is over the scan, and give the picture."""
    deadline = time.monotonic() + WAIT_S
    while count_coloured(picture := page.screenshot(path=path)) <= 20_000:
        if time.monotonic() > deadline:
            break
        page.wait_for_timeout(1000)
    return bytes(picture)


def count_coloured(picture: bytes) -> int:
    """Count pixels of the drawing area that are no grey."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=np.int16)
    area = pixels[80:880, 400:1300]
    return int((area.max(axis=-1) - area.min(axis=-1) > 24).sum())
