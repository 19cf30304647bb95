"""Scans that the bundle does not know, through REST: told with a reason, never called typical."""

import gzip

import nibabel
import numpy as np
import pytest

from tests.builders.dicom import build_dicom
from tests.builders.evaluations import SIDE_PX, draw_scan
from tests.builders.pictures import build_nifti, encode_picture

GENERATOR = np.random.default_rng(31)
BODY = draw_scan(6_001, has_lesion=False)
NOISE = GENERATOR.integers(0, 255, (SIDE_PX, SIDE_PX), dtype=np.uint8)
TWELVE_BITS = (BODY.astype(np.uint16) << 4) | 7
COLOR = GENERATOR.integers(0, 255, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
HOLES = np.where(np.eye(SIDE_PX) > 0, np.nan, BODY).astype(np.float32)[..., None]

STRANGE = {
    "wrong modality": (build_dicom(BODY.astype(np.uint16), Modality="MR"), "Modality MR"),
    "twelve bits": (build_dicom(TWELVE_BITS, BitsStored=12, Modality="CR"), "Modality CR"),
    "signed": (build_dicom(BODY.astype(np.int16) - 100), "Modality CT"),
    "MONOCHROME1": (
        build_dicom(BODY.astype(np.uint16), PhotometricInterpretation="MONOCHROME1"),
        "Modality CT",
    ),
    "colour photo": (encode_picture(COLOR, "png"), "colour"),
    "blank": (encode_picture(np.zeros_like(BODY), "png"), "background"),
    "white": (encode_picture(np.full_like(BODY, 255), "png"), "background"),
    "noise": (encode_picture(NOISE, "png"), "intensities"),
    "inverted": (encode_picture(255 - BODY, "png"), "intensities"),
    "1 x 1": (encode_picture(NOISE[:1, :1], "png"), "background"),
    "1 x 10000": (encode_picture(np.resize(NOISE, (1, 10_000)), "png"), ""),
    "10000 x 1": (encode_picture(np.resize(NOISE, (10_000, 1)), "png"), ""),
    "NaN in NIfTI": (build_nifti(HOLES), "not finite"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_the_bundle_does_not_know_is_indeterminate_with_a_reason(client, name):
    content, reason = STRANGE[name]

    answer = client.post("/api/v1/scans", params={"wait": 60}, content=content)

    finding = answer.json()["cases"][0]["finding"]
    assert answer.status_code == 201, answer.text
    assert finding["verdict"] == "indeterminate"
    assert finding["reason"]
    assert reason in finding["reason"]


@pytest.mark.parametrize("form", ["twelve bits", "signed", "MONOCHROME1"])
def test_the_pixels_that_come_back_are_those_of_the_picture(client, form):
    content, _ = STRANGE[form]
    sent = client.post("/api/v1/scans", params={"wait": 60}, content=content).json()

    volume = client.get(f"/api/v1/cases/{sent['cases'][0]['id']}/scan", params={"format": "nifti"})

    pixels = np.asarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(volume.content)).dataobj)[
        ..., 0
    ].T
    expected = {
        "twelve bits": TWELVE_BITS,
        "signed": BODY.astype(np.int16) - 100,
        "MONOCHROME1": 65535 - BODY.astype(np.int64),
    }[form]
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize(
    "start", [b"MZ\x90\0", b"\x7fELF", b"#!/bin/sh\n", b"<script>", b"%PDF-1.7", b"PK\x03\x04"]
)
def test_a_preamble_that_is_a_program_is_refused(client, start):
    content = build_dicom(BODY.astype(np.uint16))

    answer = client.post("/api/v1/scans", content=start + content[len(start) :])

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "corrupt_scan")


def test_a_preamble_of_a_tiff_is_taken(client):
    content = b"II*\0" + build_dicom(BODY.astype(np.uint16) + 1)[4:]

    answer = client.post("/api/v1/scans", content=content)

    assert answer.status_code in {201, 202}
