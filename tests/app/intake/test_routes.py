import io
import time

import numpy as np
import pydicom
import pytest

from app.auth.permissions import Permission
from app.errors import QueueFull
from models.errors import CorruptScan
from tests.builders.dicom import build_deflated_bomb, build_nested
from tests.builders.pictures import build_gzip_bomb, build_nifti, build_png_flood, build_zip
from tests.builders.scans import make_dicom
from tests.builders.services import make_key
from tests.builders.stow import build_object

SCANS = "/api/v1/scans"
REFUSAL_S = 1.0
PATIENCE = 5  # other tests run on the same cores


def send(client, content, wait=30, **headers):
    return client.post(SCANS, params={"wait": wait}, content=content, headers=headers)


def make_series(planes, name="slice", **tags):
    return {
        f"{name}{index}.dcm": make_dicom(
            plane,
            number=index + 1,
            ImagePositionPatient=[0.0, 0.0, 2.0 * index],
            ImageOrientationPatient=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            **tags,
        )
        for index, plane in enumerate(planes)
    }


def test_a_picture_is_answered_with_its_finding(client, picture, tiny_detector):
    answer = send(client, picture)

    receipt = answer.json()
    finding = receipt["cases"][0]["finding"]
    assert answer.status_code == 201
    assert receipt["size_bytes"] == len(picture)
    assert finding["verdict"] in {"typical", "anomalous", "indeterminate"}
    assert finding["bundle_digest"] == tiny_detector.digest
    assert receipt["files"][0]["verdict"] == finding["verdict"]


def test_who_does_not_wait_is_told_where_to_ask(client, picture):
    answer = send(client, picture, wait=0)

    deadline = time.monotonic() + 30
    while not (receipt := client.get(answer.headers["Location"]).json())["is_done"]:
        assert time.monotonic() < deadline
    assert answer.status_code == 202
    assert receipt["cases"][0]["finding"]["score"] is not None


def test_the_same_bytes_are_one_case(client, picture):
    first = send(client, picture)

    second = send(client, picture)

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["is_known"]
    assert second.json()["cases"][0]["id"] == first.json()["cases"][0]["id"]


def test_the_same_bytes_of_another_sender_are_another_case(client, service, picture):
    other = make_key(service, Permission.SEND_SCANS)

    first, second = send(client, picture), send(client, picture, **other)

    assert second.status_code == 201
    assert second.json()["cases"][0]["id"] != first.json()["cases"][0]["id"]


def test_an_idempotency_key_stands_for_its_bytes(client, picture):
    first = send(client, picture, **{"Idempotency-Key": "scan-1"})

    again = send(client, picture, **{"Idempotency-Key": "scan-1"})
    other = send(client, picture + b" ", **{"Idempotency-Key": "scan-1"})

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert other.json()["error"]["code"] == "idempotency_conflict"


def test_an_idempotency_key_of_another_form_is_refused(client, picture):
    answer = send(client, picture, **{"Idempotency-Key": "a b"})

    assert answer.json()["error"]["code"] == "invalid_idempotency_key"


def test_a_form_says_what_the_file_does_not(client, picture):
    fields = {"patient_id": "P-7", "site": "north", "tags": '{"protocol": "t1"}'}

    answer = client.post(
        SCANS, params={"wait": 30}, files={"file": ("x.png", picture)}, data=fields
    )

    case = answer.json()["cases"][0]
    assert answer.status_code == 201
    assert (case["patient_id"], case["site"]) == ("P-7", "north")
    assert case["tags"] == {"protocol": "t1"}


def test_what_the_file_says_wins_over_the_form(client, planes):
    content = make_dicom(planes[0], PatientID="FILE", InstitutionName="East", Modality="DX")

    answer = client.post(
        SCANS,
        params={"wait": 30},
        files={"file": ("x.dcm", content)},
        data={"patient_id": "FORM", "accession": "A1"},
    )

    case = answer.json()["cases"][0]
    assert (case["patient_id"], case["site"]) == ("FILE", "East")
    assert (case["accession"], case["modality"]) == ("A1", "DX")


@pytest.mark.parametrize(
    "fields",
    [
        {"surname": "CANARY"},
        {"tags": "CANARY"},
        {"tags": '["CANARY"]'},
        {"patient_id": "CANARY" * 100},
    ],
)
def test_fields_of_the_wrong_form_are_refused_and_not_repeated(client, picture, fields):
    answer = client.post(SCANS, files={"file": ("x.png", picture)}, data=fields)

    assert answer.status_code == 422
    assert "CANARY" not in answer.text


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"--x--\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"garbage"),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc',
        ),
        (
            "multipart/form-data; boundary=x",
            2 * b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc\r\n' + b"--x--\r\n",
        ),
        ("application/octet-stream", b""),
    ],
)
def test_broken_bodies_are_refused(client, kind, body):
    answer = client.post(SCANS, content=body, headers={"Content-Type": kind})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


HOSTILE = {
    "garbage": (b"garbage", 415),
    "png_flood": (build_png_flood(60_000, 60_000), 422),
    "deflated_bomb": (build_deflated_bomb(3 * 2**30 // 2), 413),
    "nested": (build_nested(200), 422),
    "cut_dicom": (build_object("1.2.3", "1.2.4")[:-40], 422),
    "zip_bomb": (build_zip({"zeros": bytes(50_000_000)}), 413),
    "zip_of_nothing": (build_zip({}), 422),
    "zip_leading_out": (build_zip({"../../etc/cron.d/x": b"x"}), 422),
    "gzip_body": (build_gzip_bomb(np.zeros((4, 4, 4), np.int16), 2**28), 413),
    "cut_zip": (build_zip({"a.png": b"x" * 1000})[:-30], 422),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused_at_once_and_leave_nothing(client, service, name):
    content, status = HOSTILE[name]
    before = sorted(entry.sha256 for entry in service.state.storage.blobs.list_blobs())

    started = time.monotonic()
    answer = send(client, content)
    took_s = time.monotonic() - started

    after = sorted(entry.sha256 for entry in service.state.storage.blobs.list_blobs())
    assert answer.status_code == status, answer.text
    assert after == before
    assert took_s < PATIENCE * REFUSAL_S


def test_a_zip_of_a_series_is_one_case(client, planes):
    answer = send(client, build_zip(make_series(planes)), wait=60)

    receipt = answer.json()
    assert answer.status_code == 201, answer.text
    assert [case["slice_count"] for case in receipt["cases"]] == [3]
    assert sorted(file["label"] for file in receipt["files"]) == [
        "slice0.dcm",
        "slice1.dcm",
        "slice2.dcm",
    ]


def test_a_zip_is_one_case_per_series_and_one_that_is_broken_is_set_aside(client, planes, picture):
    entries = make_series(planes[:2]) | {"good.png": picture, "bad.png": picture[:200]}

    answer = send(client, build_zip(entries), wait=60)

    verdicts = {file["label"]: file for file in answer.json()["files"]}
    assert answer.status_code == 201
    assert len(answer.json()["cases"]) == 3
    assert verdicts["bad.png"]["failure_code"] == "corrupt_scan"
    assert verdicts["bad.png"]["verdict"] is None
    assert verdicts["good.png"]["verdict"]
    assert verdicts["slice0.dcm"]["case_id"] == verdicts["slice1.dcm"]["case_id"]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_series_with_a_broken_slice_is_looked_at_and_never_typical(client, planes, place):
    series = make_series(planes)
    name = f"slice{place}.dcm"
    broken = pydicom.dcmread(io.BytesIO(series[name]))
    broken.PixelData = bytes(broken.PixelData)[:100]
    stream = io.BytesIO()
    broken.save_as(stream)

    receipt = send(client, build_zip(series | {name: stream.getvalue()}), wait=60).json()

    (case,) = receipt["cases"]
    files = {file["label"]: file for file in receipt["files"]}
    assert (case["state"], case["verdict"]) == ("scored", "indeterminate")
    assert case["finding"]["reason"].startswith("Slices are missing: 1 of 3 files")
    assert files.pop(name)["failure_code"]
    assert all(file["slice_score"] is not None for file in files.values())
    assert {file["failure_code"] for file in files.values()} == {None}
    for address in ("preview.png", "overlay.png?quick=true", "original", "scan", "error_map"):
        assert client.get(f"/api/v1/cases/{case['id']}/{address}").status_code == 200, address


def test_every_file_of_a_series_tells_its_slice_and_its_score(client, planes):
    entries = list(make_series(planes).items())
    shuffled = dict([entries[2], entries[0], entries[1]])

    receipt = send(client, build_zip(shuffled), wait=60).json()

    case = client.get(f"/api/v1/cases/{receipt['cases'][0]['id']}").json()
    slices = {file["label"]: file["slice_index"] for file in receipt["files"]}
    scores = {file["slice_index"]: file["slice_score"] for file in receipt["files"]}
    assert slices == {"slice0.dcm": 0, "slice1.dcm": 1, "slice2.dcm": 2}
    assert [scores[index] for index in range(3)] == case["finding"]["slice_scores"]
    assert {file["case_id"] for file in receipt["files"]} == {case["id"]}
    assert {file["verdict"] for file in receipt["files"]} == {case["verdict"]}
    told = {file["label"]: (file["slice_index"], file["slice_count"]) for file in case["files"]}
    assert told == {"slice0.dcm": (0, 1), "slice1.dcm": (1, 1), "slice2.dcm": (2, 1)}


def test_the_one_file_of_a_volume_holds_all_its_slices(client, planes):
    volume = build_nifti(np.stack(planes, axis=-1))

    (file,) = send(client, volume, wait=60).json()["files"]

    assert (file["slice_index"], file["slice_count"]) == (0, 3)


def test_files_that_are_no_scans_and_copies_are_told_with_their_reason(client, planes):
    series = make_series(planes)
    entries = series | {
        "copy.dcm": series["slice1.dcm"],
        "readme.txt": b"Twelve slices, see the protocol.",
        "sub/.DS_Store": bytes(64),
    }

    receipt = send(client, build_zip(entries), wait=60).json()

    files = {file["label"]: file for file in receipt["files"]}
    codes = {label: file["failure_code"] for label, file in files.items()}
    assert len(receipt["files"]) == 6
    assert codes["readme.txt"] == codes["sub/.DS_Store"] == "not_a_scan"
    assert sorted(codes[name] or "" for name in ("copy.dcm", "slice1.dcm")) == [
        "",
        "duplicate_file",
    ]
    assert files["readme.txt"]["case_id"] is None
    assert files["copy.dcm"]["case_id"] == files["slice0.dcm"]["case_id"]
    again = client.get(f"{SCANS}/{receipt['upload_id']}").json()
    assert again["files"] == receipt["files"]


def test_a_sender_asks_for_its_own_receipts_only(client, service, picture):
    mine, other = (make_key(service, Permission.SEND_SCANS) for _ in range(2))
    address = send(client, picture, **mine).headers["Location"]

    answers = [client.get(address, headers=key).status_code for key in (mine, other)]

    assert answers == [200, 404]
    assert client.get(address).status_code == 200


@pytest.mark.parametrize("permission", [Permission.READ_CASES, Permission.MANAGE_BUNDLES])
def test_who_may_not_send_is_refused(client, service, picture, permission):
    answer = send(client, picture, **make_key(service, permission))

    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "permission_denied")


def test_nobody_sends_without_a_key(client, picture):
    answer = send(client, picture, Authorization="")

    assert answer.status_code == 401


def test_a_full_line_answers_503_and_keeps_nothing(client, service, picture, monkeypatch):
    def refuse():
        raise QueueFull(retry_after_s=3)

    monkeypatch.setattr(service.state.intake.line, "take_place", refuse)
    answer = send(client, picture)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert answer.json()["error"]["code"] == "queue_full"


def test_a_full_disk_answers_507_and_reading_goes_on(client, service, picture, monkeypatch):
    kept = send(client, picture).json()["cases"][0]["id"]

    monkeypatch.setattr(service.state.storage.watermark, "min_free_bytes", 2**62)
    answer = send(client, picture + b" ")

    assert answer.status_code == 507
    assert client.get(f"/api/v1/cases/{kept}").status_code == 200


def test_a_blob_store_that_is_away_is_a_503_and_comes_back(client, service, picture):
    folder = service.state.storage.blobs.folder
    away = folder.with_name("away")

    folder.rename(away)
    during = send(client, picture)
    away.rename(folder)
    after = send(client, picture)

    assert (during.status_code, during.json()["error"]["code"]) == (503, "blob_store_unavailable")
    assert after.status_code == 201


def test_a_disk_lost_while_a_scan_is_decoded_is_not_the_senders_fault(
    client, service, picture, monkeypatch
):
    def lose(parts):
        parts[0].unlink()
        raise CorruptScan

    monkeypatch.setattr(service.state.intake.line.decoders, "decode", lose)
    answer = send(client, picture)

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "blob_store_unavailable")


def test_what_is_answered_is_stored_under_its_digest(client, service, picture):
    sha256 = send(client, picture, wait=0).json()["sha256"]

    assert service.state.storage.blobs.read(sha256) == picture
