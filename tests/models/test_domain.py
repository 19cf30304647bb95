import numpy as np
import pytest
from hypothesis import given

from models.appearance import Look
from models.decoding.scan import UnreadFile
from models.domain import AppearanceDomain, Domain, StatisticsDomain
from tests.builders.scans import make_scan
from tests.strategies import domains

INSIDE = (0.5,) * 7
STATISTICS = StatisticsDomain(
    mean=INSIDE, precision=tuple(tuple(map(float, row)) for row in np.eye(7)), limit=2.0
)


def make_domain(**facts):
    known = {
        "modalities": ("CR", "DX"),
        "body_parts": ("CHEST",),
        "accepts_unstated": False,
        "accepts_color": False,
        "shortest_side_px": 500,
        "longest_side_px": 3000,
        "largest_aspect": 1.5,
        "statistics": STATISTICS,
        "appearance": None,
    }
    return Domain(**(known | facts))


def object_to(domain=None, shape=(1000, 1000), statistics=INSIDE, look=None, **facts):
    known = {"modality": "DX", "body_part": "CHEST"} | facts
    scan = make_scan(np.zeros(shape), **known)
    return (domain or make_domain()).find_objection(scan, statistics, look)


APPEARANCE = AppearanceDomain(
    distance_limit=20.0,
    likeness_limit=-1.0,
    changes=("flipped", "inverted"),
    rate=0.01,
    slices=200,
    patients=100,
)


def look_like(distance=10.0, flipped=-5.0, inverted=-9.0):
    likenesses = {"flipped": np.array([flipped]), "inverted": np.array([inverted])}
    return Look(np.array([distance]), likenesses)


@pytest.mark.parametrize(
    ("look", "word"),
    [
        (look_like(distance=20.1), "distance 20.1, limit 20.0"),
        (look_like(flipped=-0.9), "flipped, top to bottom"),
        (look_like(distance=90.0, inverted=3.0), "inverted"),
        (look_like(distance=float("nan")), "does not look like"),
        (look_like(flipped=float("nan")), "looks"),
        (None, "could not be measured"),
    ],
)
def test_a_scan_that_looks_foreign_is_objected_to(look, word):
    objection = object_to(make_domain(appearance=APPEARANCE), look=look)

    assert objection is not None
    assert word in objection


def test_a_scan_that_looks_healthy_is_not_objected_to():
    assert object_to(make_domain(appearance=APPEARANCE), look=look_like()) is None


def test_a_bundle_that_learnt_no_looks_accepts_all():
    assert object_to(look=look_like(distance=1e6)) is None


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({"modality": "MR"}, "Modality MR"),
        ({"modality": None}, "names no modality"),
        ({"shape": (6100, 6100)}, "longer side"),
        ({"body_part": "KNEE"}, "body part"),
        ({"is_color": True}, "colour"),
        ({"shape": (1, 1)}, "shorter side is 1 px"),
        ({"shape": (249, 400)}, "shorter side"),
        ({"shape": (1, 10_000)}, "shorter side"),
        ({"shape": (400, 1300)}, "3.2 to 1"),
        ({"statistics": (0.5,) * 6 + (2.6,)}, "unlike those of any training scan"),
        ({"statistics": (0.5,) * 6 + (float("nan"),)}, "distance inf"),
        ({"statistics": (0.5,) * 6 + (float("inf"),)}, "distance inf"),
    ],
)
def test_what_no_training_scan_was_is_objected_to(facts, word):
    objection = object_to(**facts)

    assert objection is not None
    assert word in objection


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"modality": "CR"},
        {"body_part": None},
        {"body_part": ""},
        {"shape": (260, 700)},
        {"statistics": (0.5,) * 6 + (2.4,)},
        {"domain": make_domain(accepts_unstated=True), "modality": None},
        {"domain": make_domain(accepts_color=True), "is_color": True},
        {"domain": make_domain(body_parts=()), "body_part": "KNEE"},
    ],
)
def test_what_training_scans_were_is_not_objected_to(facts):
    assert object_to(**facts) is None


@pytest.mark.parametrize(
    "positions",
    [(0, 1, 3, 4), (0, 2, 3, 4), (0, 1, 2, 4), (0, 1, 4), (0, -1, -3, -4)],
)
def test_a_hole_between_slices_is_objected_to(positions):
    objection = object_to(shape=(len(positions), 1000, 1000), slice_positions_mm=positions)

    assert objection.startswith("Slices seem to be missing behind slice ")


@pytest.mark.parametrize(
    "positions",
    [None, (0,), (0, 1), (0, 1, 2.2, 3.1), (0, 4, 8, 16, 24), (0, 8, 16, 20, 24), (0, 0, 0)],
)
def test_even_steps_and_those_that_change_once_are_not_objected_to(positions):
    count = len(positions or (0,))

    assert object_to(shape=(count, 1000, 1000), slice_positions_mm=positions) is None


def test_a_scan_of_which_files_cannot_be_read_is_objected_to():
    objection = object_to(unread=(UnreadFile(1, "corrupt_scan"),))

    assert objection == "Slices are missing: 1 of 2 files cannot be read (corrupt_scan)."


def test_a_bundle_of_pictures_judges_no_dicom_of_unknown_kind():
    domain = make_domain(modalities=(), accepts_unstated=True)

    assert object_to(domain, modality=None) is None
    assert "pictures without a modality only" in object_to(domain, modality="DX")


def test_an_objection_shows_no_more_of_a_tag_than_a_word():
    objection = object_to(modality="<script>alert(document.cookie)</script>")

    assert "cookie" not in objection


@given(domain=domains())
def test_a_domain_survives_a_round_trip(domain):
    assert Domain.model_validate_json(domain.model_dump_json()) == domain


@given(domain=domains())
def test_statistics_at_the_mean_are_at_no_distance(domain):
    assert domain.statistics.measure(domain.statistics.mean) == 0.0
