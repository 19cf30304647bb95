"""The viewer shows what the service draws, and tells the values that it holds."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from scipy import ndimage

from models.overlay import OUTLINE_COLOR
from tests.builders.dicom import AXIAL, build_dicom, make_ramp
from tests.builders.pictures import build_zip
from tests.builders.sites import Site, await_viewer

# The browser's table is looked up in between two steps, and its blending rounds once more.
COLOR_TOLERANCE = 6


@pytest.fixture
def flagged(site: Site) -> str:
    """A flagged picture with a region, so that there is something to draw."""
    query = {"verdict": "anomalous", "sort": "score"}
    for case in site.client.get("/api/v1/cases", params=query).json()["items"]:
        finding = site.client.get(f"/api/v1/cases/{case['id']}").json()["finding"]
        if case["patient_id"].startswith("P") and finding["regions"]:
            return str(case["id"])
    raise LookupError("no flagged case with a region")


def _read_png(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=np.int16)


def _grab(page: Page, shape: tuple[int, int]) -> np.ndarray:
    """Give the picture of the first pane, a screen pixel for each of its own times a factor."""
    box = page.locator("[data-pane=scan] canvas").bounding_box()
    assert box is not None
    shown = _read_png(page.locator("[data-pane=scan] canvas").screenshot())
    side = min(shown.shape[0] / shape[0], shown.shape[1] / shape[1])
    rows = (shown.shape[0] - side * shape[0]) / 2 + side * (np.arange(shape[0]) + 0.5)
    columns = (shown.shape[1] - side * shape[1]) / 2 + side * (np.arange(shape[1]) + 0.5)
    return shown[rows.astype(int)][:, columns.astype(int)]


@pytest.mark.parametrize("has_outline", [True, False])
def test_the_viewer_and_the_overlay_picture_agree_pixel_by_pixel(
    page: Page, site: Site, flagged: str, *, has_outline: bool
):
    query = {"opacity": 0.5, "outline": has_outline}
    drawn = _read_png(site.client.get(f"/api/v1/cases/{flagged}/overlay.png", params=query).content)
    page.goto(f"/cases/{flagged}")
    await_viewer(page)
    page.evaluate("for (const x of document.querySelectorAll('figcaption, .side')) x.hidden = true")
    if not has_outline:
        page.keyboard.press("o")
    page.wait_for_timeout(300)

    shown = _grab(page, drawn.shape[:2])

    apart = np.abs(shown - drawn).max(axis=-1)
    assert np.mean(apart > COLOR_TOLERANCE) < 0.01, np.percentile(apart, [50, 90, 99, 100])


def test_the_value_under_the_cursor_is_the_scans(page: Page, site: Site, flagged: str):
    volumes = {
        name: np.load(
            io.BytesIO(site.client.get(f"/api/v1/cases/{flagged}/{name}?format=npy").content)
        )[0]
        for name in ("scan", "reconstruction", "error_map")
    }
    page.goto(f"/cases/{flagged}")
    await_viewer(page)
    box = page.locator("[data-pane=scan] canvas").bounding_box()
    assert box is not None
    readout = page.locator("[data-readout=value]")

    for across, down in ((0.5, 0.5), (0.35, 0.6), (0.62, 0.27)):
        page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
        expect(readout).to_contain_text("row")
        told = re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", readout.inner_text())
        row, column, *values = (float(part) for part in told)
        true = [volumes[name][int(row), int(column)] for name in volumes]
        np.testing.assert_allclose(values, true, rtol=1e-3, atol=1e-3)


def test_values_of_a_computed_tomography_are_told_in_hounsfield_units(page: Page, site: Site):
    stored = (make_ramp(40, 40) * 2).astype(np.uint16)
    content = build_dicom(stored, RescaleSlope=2, RescaleIntercept=-1024, RescaleType="HU")
    case = site.send(content)["id"]
    page.goto(f"/cases/{case}")
    await_viewer(page)
    box = page.locator("[data-pane=scan] canvas").bounding_box()
    assert box is not None
    readout = page.locator("[data-readout=value]")

    for across, down in ((0.5, 0.5), (0.3, 0.2), (0.7, 0.9)):
        page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
        expect(readout).to_contain_text("HU")
        found = re.match(r"row (\d+), column (\d+) · (-?\d+) HU", readout.inner_text())
        assert found is not None, readout.inner_text()
        row, column, value = map(int, found.groups())
        assert value == 2 * int(stored[row, column]) - 1024


def test_the_outline_is_within_a_pixel_of_the_mask(page: Page, site: Site, flagged: str):
    answer = site.client.get(f"/api/v1/cases/{flagged}/error_map?format=npy")
    mask = np.load(io.BytesIO(answer.content))[0] > 1.0
    border = mask & ~ndimage.binary_erosion(mask)
    page.goto(f"/cases/{flagged}")
    await_viewer(page)
    page.evaluate("for (const x of document.querySelectorAll('figcaption, .side')) x.hidden = true")
    page.wait_for_timeout(300)

    shown = _grab(page, mask.shape)

    outline = np.abs(shown - OUTLINE_COLOR.astype(np.int16)).max(axis=-1) < 40
    assert border.any()
    assert ndimage.distance_transform_edt(~border)[outline].max() <= 1.0
    assert ndimage.distance_transform_edt(~outline)[border].max() <= 1.0


def test_keys_hide_the_overlay_and_change_window_and_layout(page: Page, flagged: str):
    page.goto(f"/cases/{flagged}")
    await_viewer(page)
    window = page.locator("[data-readout=window]").inner_text()

    page.keyboard.press("h")
    page.keyboard.press("2")
    page.keyboard.press("l")

    expect(page.locator("[data-tool=overlay]")).not_to_be_checked()
    expect(page.locator("[data-readout=window]")).not_to_have_text(window)
    expect(page.locator(".panes")).to_have_attribute("data-layout", "equal")


def test_a_drag_changes_the_window(page: Page, flagged: str):
    page.goto(f"/cases/{flagged}")
    await_viewer(page)
    box = page.locator("[data-pane=scan]").bounding_box()
    assert box is not None
    before = page.locator("[data-readout=window]").inner_text()

    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 160, box["y"] + 130, steps=4)
    page.mouse.up()

    expect(page.locator("[data-readout=window]")).not_to_have_text(before)
    assert page.locator("[data-tool=window]").input_value() == "own"


def test_a_quick_picture_of_a_series_is_that_of_its_whole(site: Site):
    files = {
        f"{number}.dcm": build_dicom(
            (make_ramp(40, 40) * (number + 1)).astype(np.uint16),
            ImageOrientationPatient=AXIAL,
            ImagePositionPatient=[0.0, 0.0, float(9 - number)],
            PixelSpacing=[1.0, 1.0],
            WindowCenter=1500,
            WindowWidth=3000,
        )
        for number in range(3)
    }
    case = site.send(build_zip(files))["id"]
    address = f"/api/v1/cases/{case}/preview.png"

    for index in range(3):
        site.service.state.shelf._scans.clear()
        quick = site.client.get(address, params={"quick": True, "slice": index})
        whole = site.client.get(address, params={"slice": index})
        assert quick.status_code == whole.status_code == 200
        assert quick.content == whole.content
