import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.detector import Detector
from models.errors import DecodeError
from models.pipeline import ScoringPipeline
from tests.builders.cohorts import make_picture
from tests.builders.evaluations import SIDE_PX, draw_scan
from tests.builders.scans import make_dicom, make_scan
from tests.strategies import scans

NOISE = np.random.default_rng(0)


def examine(detector, *scans_given):
    return [finding.verdict for finding in detector.examine(scans_given)]


def test_lesions_score_higher_than_healthy_scans(tiny_detector):
    seeds = range(3001, 3011)
    healthy = examine(tiny_detector, *(make_scan(draw_scan(s, has_lesion=False)) for s in seeds))

    abnormal = examine(tiny_detector, *(make_scan(draw_scan(s, has_lesion=True)) for s in seeds))

    assert np.mean([a.score > b.score for a in abnormal for b in healthy]) > 0.85
    assert sum(verdict.label == "typical" for verdict in healthy) >= 6
    assert sum(verdict.label == "anomalous" for verdict in abnormal) >= 6


@pytest.mark.parametrize(
    ("pixels", "facts", "reason"),
    [
        (make_picture(1, SIDE_PX), {"modality": "US"}, "Modality US"),
        (make_picture(1, SIDE_PX), {"is_color": True}, "colour"),
        (np.zeros((SIDE_PX, SIDE_PX)), {}, "background"),
        (np.full((SIDE_PX, SIDE_PX), 7.0), {}, "background"),
        (NOISE.uniform(0, 255, (SIDE_PX, SIDE_PX)), {}, "intensities"),
        (NOISE.uniform(0, 255, (1, 1)), {}, "background"),
        (NOISE.uniform(0, 255, (1, 10_000)), {}, ""),
        (NOISE.uniform(0, 255, (10_000, 1)), {}, ""),
        (np.where(np.eye(SIDE_PX) > 0, np.nan, make_picture(1, SIDE_PX)), {}, "not finite"),
        (np.where(np.eye(SIDE_PX) > 0, np.inf, make_picture(1, SIDE_PX)), {}, "not finite"),
        (make_picture(1, 12), {}, "shorter side"),
        (255 - make_picture(1, SIDE_PX), {}, "intensities"),
        (np.linspace(0, 255, SIDE_PX**2).reshape(SIDE_PX, SIDE_PX), {}, "intensities"),
    ],
    ids=[
        "wrong modality", "colour", "black", "grey", "noise", "1 x 1", "1 x 10000", "10000 x 1",
        "NaN", "infinity", "tiny", "inverted", "gradient",
    ],
)  # fmt: skip
def test_what_the_bundle_does_not_know_is_indeterminate_with_a_reason(
    tiny_detector, pixels, facts, reason
):
    (verdict,) = examine(tiny_detector, make_scan(pixels, **facts))

    assert verdict.label == "indeterminate"
    assert verdict.reason
    assert reason in verdict.reason


def test_a_volume_is_indeterminate_where_only_slices_are_calibrated(tiny_detector):
    volume = make_scan(np.stack([make_picture(1, SIDE_PX), make_picture(2, SIDE_PX)]))

    (verdict,) = examine(tiny_detector, volume)

    assert verdict.label == "indeterminate"
    assert "no calibration" in verdict.reason
    assert verdict.score is not None


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(scan=scans())
def test_random_scans_of_any_shape_are_never_typical(tiny_detector, scan):
    (verdict,) = examine(tiny_detector, scan)

    assert verdict.label == "indeterminate"
    assert verdict.reason


def test_a_scan_that_cannot_be_looked_at_spoils_no_other(tiny_detector):
    good = [make_scan(make_picture(seed, SIDE_PX)) for seed in range(3)]
    blank = make_scan(np.zeros((5, 5)))

    mixed = examine(tiny_detector, good[0], blank, good[1], blank, good[2])

    assert [mixed[0], mixed[2], mixed[4]] == examine(tiny_detector, *good)
    assert mixed[1].score is None


def test_a_body_that_is_all_border_is_never_typical(tiny_detector):
    known = tiny_detector.pipeline
    head = known.spec.score.heads[0]
    eroded = head.model_copy(
        update={"error_map": head.error_map.model_copy(update={"erosion_share": 0.5})}
    )
    score = known.spec.score.model_copy(update={"heads": (eroded, *known.spec.score.heads[1:])})
    spec = known.spec.model_copy(update={"score": score})
    pipeline = ScoringPipeline(spec, known.network, known.healthy, known.features)

    (verdict,) = examine(
        Detector(tiny_detector.bundle, pipeline), make_scan(make_picture(1, SIDE_PX))
    )

    assert verdict.label == "indeterminate"
    assert "border" in verdict.reason


def test_no_scans_give_no_findings(tiny_detector):
    assert tiny_detector.examine([]) == []


def test_a_dicom_file_of_another_kind_is_not_judged_by_a_bundle_of_pictures(tiny_detector):
    content = make_dicom(make_picture(1, SIDE_PX), Modality="DX")

    (verdict,) = examine(tiny_detector, decode_scan(content, DecodeLimits()))

    assert verdict.label == "indeterminate"
    assert "DX" in verdict.reason


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 30, b"MZ" * 999])
def test_bytes_that_are_no_scan_never_reach_the_detector(content):
    with pytest.raises(DecodeError):
        decode_scan(content, DecodeLimits())


def test_maps_and_reconstruction_come_back_in_original_pixels(tiny_detector):
    scan = make_scan(make_picture(1, 96)[:, :80])

    scored = tiny_detector.examine([scan])[0].scored

    assert scored.restore_error_map().shape == (1, 96, 80)
    redrawn = scored.restore_reconstruction()
    assert redrawn.shape == (1, 96, 80)
    body = scan.pixels > 100
    assert np.abs(redrawn[body] - scan.pixels[body]).mean() < 40
