import gzip
import io
from itertools import count

import nibabel
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.auth.permissions import Permission
from models.overlay import draw_overlay, draw_pixels
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import build_zip, encode_picture
from tests.builders.scans import make_dicom
from tests.builders.services import make_key, make_settings, run_service

_SEEDS = count(7000)


@pytest.fixture(scope="module")
def client(tiny_bundle, tmp_path_factory):
    """A ready service, called by an administrator's key."""
    folder = tmp_path_factory.mktemp("service")
    with run_service(make_settings(folder, bundle=tiny_bundle)) as client:
        yield client


@pytest.fixture
def pixels():
    return draw_scan(next(_SEEDS), has_lesion=True)


def send(client: TestClient, content):
    answer = client.post("/api/v1/scans", params={"wait": 60}, content=content)
    assert answer.status_code == 201, answer.text
    return answer.json()["cases"][0]


def fetch(client, case, what, **query):
    answer = client.get(f"/api/v1/cases/{case['id']}/{what}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.content


def open_picture(content):
    return np.asarray(Image.open(io.BytesIO(content)))


def open_npy(content):
    return np.load(io.BytesIO(content), allow_pickle=False)


def open_nifti(content):
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(content))


def make_volume(planes):
    return build_zip(
        {
            f"{index}.dcm": make_dicom(
                plane,
                number=index + 1,
                PixelSpacing=[0.5, 0.25],
                ImagePositionPatient=[10.0, 20.0, 3.0 * index],
                ImageOrientationPatient=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            )
            for index, plane in enumerate(planes)
        }
    )


def test_the_overlay_is_drawn_from_the_stored_map(client, pixels):
    case = send(client, encode_picture(pixels, "png"))
    scan = np.asarray(pixels, dtype=np.float32)

    drawn = open_picture(fetch(client, case, "overlay.png", opacity=0.5))

    low, high = np.percentile(scan, (0.5, 99.5))
    error_map = open_npy(fetch(client, case, "error_map", format="npy"))[0]
    expected = draw_overlay(scan, error_map, (low, high), 0.5, has_outline=True)
    assert np.array_equal(drawn, expected)


def test_the_preview_is_the_scan_in_grey(client, pixels):
    case = send(client, encode_picture(pixels, "png"))
    scan = np.asarray(pixels, dtype=np.float32)

    drawn = open_picture(fetch(client, case, "preview.png"))

    low, high = np.percentile(scan, (0.5, 99.5))
    assert np.array_equal(drawn, draw_pixels(scan, (low, high)))


@pytest.mark.parametrize("what", ["overlay.png", "preview.png"])
def test_pictures_come_in_the_size_that_was_asked_for(client, pixels, what):
    case = send(client, encode_picture(pixels[:24], "png"))

    drawn = open_picture(fetch(client, case, what, size=96))

    assert drawn.shape == (48, 96, 3)


def test_the_scan_comes_back_with_its_place_in_the_patient(client):
    planes = [draw_scan(next(_SEEDS), has_lesion=False) for _ in range(3)]
    case = send(client, make_volume(planes))

    image = open_nifti(fetch(client, case, "scan"))
    values = open_npy(fetch(client, case, "scan", format="npy"))

    assert np.array_equal(values, np.asarray(planes, dtype=np.float32))
    assert np.array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), values)
    expected = [[-0.25, 0, 0, -10], [0, -0.5, 0, -20], [0, 0, 3, 0], [0, 0, 0, 1]]
    assert np.allclose(image.affine, expected)


@pytest.mark.parametrize("what", ["error_map", "reconstruction"])
def test_maps_have_the_shape_of_the_scan(client, what):
    planes = [draw_scan(next(_SEEDS), has_lesion=False) for _ in range(2)]
    case = send(client, make_volume(planes))

    values = open_npy(fetch(client, case, what, format="npy"))

    assert values.shape == (2, 48, 48)
    assert np.isfinite(values).all()


def test_the_strangest_slice_is_drawn_unless_one_is_named(client):
    planes = [draw_scan(seed, has_lesion=False) for seed in (7900, 7901, 7902)]
    planes[1] = draw_scan(7901, has_lesion=True)
    case = send(client, make_volume(planes))
    strangest = int(np.argmax(case["finding"]["slice_scores"]))

    unnamed = fetch(client, case, "overlay.png")

    assert unnamed == fetch(client, case, "overlay.png", slice=strangest)


@pytest.mark.parametrize(
    ("what", "query"),
    [
        ("overlay.png", {"slice": 1}),
        ("overlay.png", {"slice": -1}),
        ("overlay.png", {"opacity": 2}),
        ("preview.png", {"size": 1_000_000}),
        ("preview.png", {"unknown": 1}),
        ("scan", {"format": "exe"}),
    ],
)
def test_what_cannot_be_drawn_is_told(client, pixels, what, query):
    case = send(client, encode_picture(pixels, "png"))

    answer = client.get(f"/api/v1/cases/{case['id']}/{what}", params=query)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("what", ["overlay.png", "error_map", "reconstruction"])
def test_a_scan_that_cannot_be_looked_at_has_no_map(client, what):
    blank = np.full((40, 40), next(_SEEDS) % 200, dtype=np.uint8)
    case = send(client, encode_picture(blank, "png"))

    answer = client.get(f"/api/v1/cases/{case['id']}/{what}")

    assert case["verdict"] == "indeterminate"
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "finding_not_found")


def test_exports_need_a_permission_of_their_own(client, pixels):
    case = send(client, encode_picture(pixels, "png"))
    reader = make_key(client.app, Permission.READ_CASES)

    answers = {
        what: client.get(f"/api/v1/cases/{case['id']}/{what}", headers=reader).status_code
        for what in ("preview.png", "scan", "error_map", "reconstruction", "original")
    }

    assert answers == {
        "preview.png": 200,
        "scan": 403,
        "error_map": 403,
        "reconstruction": 403,
        "original": 403,
    }
