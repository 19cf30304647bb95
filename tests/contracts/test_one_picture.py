"""One map looks the same wherever it is drawn: overlay.png, `score --pictures`, Secondary Capture.

The viewer is held against overlay.png in the browser (`tests/app/web/test_viewer.py`).
"""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app.analysis.maps import pack_error_map, unpack_slice
from app.analysis.pictures import PictureOrder, draw_case
from app.dicom.secondary_capture import draw_slice, find_scale
from models.decoding.scan import DecodedScan, VoiWindow
from tests.builders.dicom import AXIAL
from tests.builders.evaluations import draw_scan
from tests.builders.reports import build_slices, make_order
from tests.builders.scans import make_scan
from training.pictures import GAP_PX, OPACITY, draw_finding


@pytest.mark.parametrize(
    "windows", [(), (VoiWindow(center=90.0, width=120.0),)], ids=["none", "own"]
)
def test_a_map_is_drawn_with_the_same_colours_everywhere(tiny_detector, windows):
    scan: DecodedScan = make_scan(draw_scan(905, has_lesion=True), voi_windows=windows)
    (finding,) = tiny_detector.examine([scan])
    assert finding.scored is not None
    error_map = finding.scored.restore_error_map()
    assert (error_map > 1.0).any()

    stored = unpack_slice(pack_error_map(error_map), 0)
    order = PictureOrder(0, size_px=None, opacity=OPACITY, has_outline=True)
    overlay = np.asarray(Image.open(io.BytesIO(draw_case(scan, stored, order))))
    panels = draw_finding(finding.scored)
    width = overlay.shape[1] + GAP_PX
    report = replace(make_order(build_slices(2, AXIAL)), scan=scan)
    capture = draw_slice(report, error_map, 0)
    scale = find_scale(overlay.shape)
    below_band = capture[capture.shape[0] - scale * overlay.shape[0] :][::scale, ::scale]

    assert np.array_equal(panels[:, width : width + overlay.shape[1]], overlay)
    assert np.array_equal(below_band, overlay)
