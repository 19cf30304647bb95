"""The same bytes give the same tensor and the same score, whoever takes them down the road."""

import numpy as np
import pytest
import torch

from app.analysis.findings import describe_regions
from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.normalize import normalize_scan
from tests.builders.bundles import copy_bundle, edit_json, sign_again
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import build_zip
from tests.builders.scans import make_dicom
from tests.builders.services import make_settings, run_service
from training.cohort import read_cohort
from training.dataset import decode_cohort_scan
from training.examination import Examiner
from training.healthy import measure_fold
from training.score_files import list_sources
from training.scorers import ScorerSpec, open_scorers
from training.slice_cache import SliceCacheSpec, open_slice_cache

# Bundles on one device: the code is the same, so are the scores.
SCORE_TOLERANCE = 1e-6
# A cached slice is rounded to 16 bits; the division adds one rounding of float32.
CACHE_TOLERANCE = 1 / (2 * 65535) + 1e-7

LIMITS = DecodeLimits()


@pytest.fixture(scope="module")
def files(tiny_cohort, tmp_path_factory):
    """Pictures of the cohort, and DICOM files of other sizes."""
    folder = tmp_path_factory.mktemp("files")
    for seed in range(3):
        pixels = draw_scan(seed, has_lesion=seed == 1)[: 48 - 8 * seed]
        (folder / f"{seed}.dcm").write_bytes(make_dicom(pixels, seed + 1, Modality="DX"))
    return [*sorted((tiny_cohort / "test").glob("*.png")), *sorted(folder.glob("*.dcm"))]


@pytest.fixture(scope="module")
def alone(tiny_detector, files):
    """What the detector says of each file by itself."""
    return [tiny_detector.examine([decode_scan(path, LIMITS)])[0] for path in files]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.verdict.label == other.verdict.label
        assert one.verdict.reason == other.verdict.reason
        assert abs(one.verdict.score - other.verdict.score) <= SCORE_TOLERANCE
        assert one.verdict.p_value == other.verdict.p_value
        assert one.regions == other.regions


def assert_same_maps(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.scored.region_map, other.scored.region_map)


@pytest.mark.parametrize("size", [1, 3, 64])
def test_the_batch_changes_no_finding(tiny_detector, files, alone, size):
    scans = [decode_scan(path, LIMITS) for path in files]
    filled = (scans * (64 // len(scans) + 1))[: max(size, len(scans))]

    found = [
        finding
        for first in range(0, len(filled), size)
        for finding in tiny_detector.examine(filled[first : first + size])
    ]

    assert_same(found[: len(scans)], alone)
    assert_same_maps(found[: len(scans)], alone)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_number_of_threads_changes_no_finding(tiny_detector, files, alone, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        findings = tiny_detector.examine([decode_scan(path, LIMITS) for path in files])
        after = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)

    assert after == threads
    assert_same(findings, alone)
    assert_same_maps(findings, alone)


@pytest.mark.parametrize("workers", [1, 2])
def test_scoring_files_gives_the_findings_of_the_detector(tiny_bundle, files, alone, workers):
    spec = ScorerSpec(tiny_bundle, torch.device("cpu"), LIMITS)
    with open_scorers(spec, workers) as score_all:
        scored = list(score_all(list_sources(files, LIMITS)))

    assert [each.path for each in scored] == [str(path) for path in files]
    assert_same(scored, alone)


@pytest.fixture(scope="module")
def service(tiny_bundle, tmp_path_factory):
    """A service with the bundle, and with another that differs in nothing but its name."""
    folder = tmp_path_factory.mktemp("service")
    other = copy_bundle(tiny_bundle, folder / "other")
    edit_json(other / "manifest.json", lambda manifest: manifest.update(name="other"))
    sign_again(other)
    packed = build_zip({path.name: path.read_bytes() for path in other.iterdir()})
    headers = {"Content-Type": "application/zip"}
    with run_service(make_settings(folder, bundle=tiny_bundle)) as client:
        added = client.post("/api/v1/bundles", content=packed, headers=headers).json()
        yield client, added["digest"]


def test_the_service_and_its_jobs_give_the_findings_of_the_detector(service, files, alone):
    client, other = service
    cases = []
    for path in files:
        sent = client.post("/api/v1/scans", params={"wait": 60}, content=path.read_bytes())
        cases.append(sent.json()["cases"][0]["id"])
    job = client.post("/api/v1/jobs/rescore", json={"bundle": other}).json()
    client.get(f"/api/v1/jobs/{job['id']}/events")  # ends with the job

    done = client.get(f"/api/v1/jobs/{job['id']}").json()

    assert (done["status"], done["done"], done["flips"]) == ("done", len(files), 0)
    for case, expected in zip(cases, alone, strict=True):
        findings = client.get(f"/api/v1/cases/{case}/history").json()["findings"]
        assert len(findings) == 2
        for found in findings:
            assert found["verdict"] == expected.verdict.label
            assert abs(found["score"] - expected.verdict.score) <= SCORE_TOLERANCE
            assert found["p_value"] == expected.verdict.p_value
            assert found["regions"] == describe_regions(expected.regions)


def test_evaluation_gives_the_scores_of_the_detector(tiny_detector, tiny_cohort):
    scans = list(read_cohort(tiny_cohort).scans("test"))

    units = Examiner(tiny_detector, {}, ()).examine(scans, lambda: None).units

    expected = [
        tiny_detector.examine([decode_scan(scan.rows[0].path, LIMITS)])[0].verdict for scan in scans
    ]
    assert len(units) == len(scans)
    np.testing.assert_allclose(
        units.scores, [verdict.score for verdict in expected], atol=SCORE_TOLERANCE, rtol=0
    )
    assert units.verdicts == [verdict.label for verdict in expected]


def test_calibration_measures_as_the_detector_does(tiny_detector, tiny_cohort):
    scans = list(read_cohort(tiny_cohort).scans("train"))[:20]

    measured = measure_fold(tiny_detector.pipeline, scans, lambda _: None)

    for scan, found in measured:
        score = tiny_detector.pipeline.score_measured(found).score
        (expected,) = tiny_detector.examine([decode_cohort_scan(scan, LIMITS)])
        assert abs(score - expected.verdict.score) <= SCORE_TOLERANCE


def test_the_threshold_is_a_score_that_the_published_bundle_still_gives(tiny_detector, tiny_cohort):
    calibration = tiny_detector.bundle.calibrations.slice
    scans = [decode_scan(path, LIMITS) for path in sorted((tiny_cohort / "train").glob("*.png"))]

    scores = np.array([finding.verdict.score for finding in tiny_detector.examine(scans)])

    for expected in calibration.scores:
        assert np.abs(scores - expected).min() <= SCORE_TOLERANCE


def test_training_is_shown_what_scoring_is_shown(tiny_detector, tiny_cohort, tmp_path):
    scans = list(read_cohort(tiny_cohort).scans("train"))[:6]
    spec = tiny_detector.pipeline.spec.normalize
    cache = open_slice_cache(
        scans,
        SliceCacheSpec(normalize=spec),
        LIMITS,
        tmp_path,
        workers=0,
        progress=lambda *_: None,
    )

    images, foregrounds = cache.select(scans).read_batch(range(len(scans)))

    for image, foreground, scan in zip(images, foregrounds, scans, strict=True):
        expected = normalize_scan(decode_cohort_scan(scan, LIMITS), spec)
        assert torch.equal(foreground, expected.foreground[0])
        assert (image - expected.image[0]).abs().max() <= CACHE_TOLERANCE
