"""OHIF lists a study of ours and draws its Parametric Map over the scan; the pictures are kept."""

import io
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image

from tests.builders.processes import CALLER, ListenerProcess, ServiceProcess
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
DATA = os.environ.get("AEGLE_REAL_DATA")
WAIT_S = 300.0
LOAD_MS = 120_000


@pytest.fixture
def dist() -> Path:
    """OHIF as npm hands it out."""
    folder = os.environ.get("OHIF_DIST")
    if folder is None or not CHROMIUM.is_file():
        pytest.skip("no OHIF: npm pack @ohif/app, unpack, OHIF_DIST=package/dist; and chromium")
    return Path(folder)


@dataclass(frozen=True)
class Walk:
    """A real series: its folder, the patient that OHIF lists, whether it lies oblique."""

    folder: str
    patient: str
    is_oblique: bool


WALKS = (
    Walk("mr_head_schwannoma", "VS-SEG-001", is_oblique=False),
    Walk("mr_head_t1", "Jane_Doe", is_oblique=True),
)


@pytest.fixture(params=WALKS, ids=lambda walk: walk.folder)
def walk(request) -> Walk:
    """A real MR series of a head: one with a tumour, one without."""
    if DATA is None:
        pytest.skip("AEGLE_REAL_DATA is not set: no real MR series")
    if shutil.which("storescu") is None:
        pytest.skip("no storescu: apt-get install dcmtk")
    return request.param


@pytest.fixture
def service(tiny_bundle: Path, walk: Walk, tmp_path: Path) -> Iterator[tuple[ServiceProcess, str]]:
    """A service that got the series by C-STORE and has its results, and the UID of the study."""
    bundle = Path(os.environ.get("TEST_BUNDLE", tiny_bundle))
    options = {"dicom_quiet_s": 2}
    with (
        ServiceProcess(tmp_path, bundle, **options) as process,
        ListenerProcess(tmp_path, **options) as listener,
    ):
        process.await_ready()
        send_by_storescu(listener.port, Path(str(DATA)) / "dicom" / walk.folder)
        with process.open_client() as client:
            study = await_results(client)
            keep_case(client, walk)
            yield process, study


def send_by_storescu(port: int, folder: Path) -> None:
    """Send a folder with the tool of the field, in whatever encoding its files are."""
    files = [str(path) for path in sorted(folder.iterdir())]
    words = ["storescu", "-xv", "-aet", CALLER, "-aec", "AEGLE", "127.0.0.1", str(port), *files]
    subprocess.run(words, check=True, timeout=WAIT_S, capture_output=True)


def keep_case(client: httpx2.Client, walk: Walk) -> None:
    """Keep what the service found beside the pictures."""
    (case,) = client.get("/api/v1/cases").json()["items"]
    told = {name: case[name] for name in ("verdict", "score", "p_value", "slice_count", "modality")}
    reason = client.get(f"/api/v1/cases/{case['id']}").json()["finding"]["reason"]
    text = json.dumps(told | {"reason": reason}, indent=2)
    (find_artefacts() / f"{walk.folder}.json").write_text(text + "\n", encoding="utf-8")


def find_artefacts() -> Path:
    """Give the folder where pictures are kept; git ignores it."""
    folder = Path(os.environ.get("TEST_ARTEFACTS", "var/artefacts"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def await_results(client: httpx2.Client) -> str:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        (study,) = client.get("/dicom-web/studies").json()
        if "SEG" in study["00080061"]["Value"]:
            return str(study["0020000D"]["Value"][0])
        time.sleep(0.5)
    raise TimeoutError("no results came")


def test_ohif_lists_the_study_and_draws_the_parametric_map(dist, walk, service):
    process, study = service
    kept, name = find_artefacts(), walk.folder
    address = f"http://127.0.0.1:{process.port}"
    with run_viewer(dist, address, process.key) as url, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=SWITCHES)
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(url)
        page.get_by_text(walk.patient).first.wait_for(timeout=LOAD_MS)
        page.screenshot(path=kept / f"{name}_list.png")

        page.goto(f"{url}/viewer?StudyInstanceUIDs={study}")
        page.get_by_text("Skip all").click(timeout=LOAD_MS)
        page.wait_for_timeout(5000)
        before = page.screenshot(path=kept / f"{name}_scan.png")
        page.get_by_text("Aegle error map").first.dblclick(timeout=LOAD_MS)
        await_colours(page, kept / f"{name}_parametric_map.png")
        told = page.get_by_text("not yet supported").all_inner_texts()
        page.wait_for_timeout(10_000)  # what is told is gone, what is drawn is there
        after = page.screenshot(path=kept / f"{name}_parametric_map.png")
        browser.close()

    if told and walk.is_oblique:
        pytest.xfail(f"OHIF 3.12 lists the results and does not draw this map: {told[0]}")
    assert told == []
    assert count_coloured(before) < 2000
    assert count_coloured(after) > 20_000


def await_colours(page, path: Path) -> None:
    """Wait until something of colour is over the scan."""
    deadline = time.monotonic() + WAIT_S
    while count_coloured(page.screenshot(path=path)) <= 20_000 and time.monotonic() < deadline:
        page.wait_for_timeout(1000)


def count_coloured(picture: bytes) -> int:
    """Count pixels of the drawing area that are no grey."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=np.int16)
    area = pixels[80:880, 400:1300]
    return int((area.max(axis=-1) - area.min(axis=-1) > 24).sum())
