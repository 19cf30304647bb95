"""QIDO-RS and WADO-RS over the whole service, as viewers call them."""

import email
import io

import numpy as np
import pydicom
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from app.audit.repository import AuditRepository
from app.auth.permissions import Permission
from app.dicom.report_facts import ReportKind
from app.dicom.reports import build_reports
from tests.builders.dicom import read_bundled
from tests.builders.objects import receive_object
from tests.builders.reports import OBLIQUE, ROOT, build_slices, make_order
from tests.builders.services import make_key, make_settings, run_service

STUDY = f"{ROOT}.5"
SERIES = f"{ROOT}.6"
FRAMES = 'multipart/related; type="application/octet-stream"; transfer-syntax="*"'
WHOLE = 'multipart/related; type="application/dicom"; transfer-syntax="*"'


@pytest.fixture(scope="module")
def files():
    """A series of five slices."""
    return build_slices(5, OBLIQUE)


@pytest.fixture(scope="module")
def reports(files):
    """The objects of a finding of it."""
    return {report.kind: report for report in build_reports(make_order(files), set(ReportKind))}


@pytest.fixture(scope="module")
def client(tmp_path_factory, files, reports):
    """A service that holds the series, its results and some other objects."""
    others = [
        read_bundled("MR_small.dcm"),
        read_bundled("JPEG2000.dcm"),
    ]
    settings = make_settings(tmp_path_factory.mktemp("service"), dicom_quiet_s=3600.0)
    with run_service(settings, awaits=False) as client:
        client.app.state.road.line.decoders.start()
        for content in [*files, *(report.content for report in reports.values()), *others]:
            assert receive_object(client.app.state.receiver, content).is_kept
        yield client


def get_json(client: TestClient, path: str, **query):
    answer = client.get(f"/dicom-web{path}", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    return answer.json()


def read_parts(answer) -> list[bytes]:
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content)
    return [part.get_payload(decode=True) for part in message.get_payload()]


def name(content: bytes) -> str:
    dataset = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
    path = f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
    return f"{path}/instances/{dataset.SOPInstanceUID}"


def test_studies_tell_what_they_hold(client):
    (found,) = get_json(client, "/studies", StudyInstanceUID=STUDY, limit=10, offset=0)

    assert found["00100020"]["Value"] == ["P1"]
    assert found["00080061"]["Value"] == ["CT", "OT", "SEG", "SR"]
    assert found["00201206"]["Value"] == [5]
    assert found["00201208"]["Value"] == [9]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"00100020": "P1"}, 1),
        ({"PatientID": "P*"}, 1),
        ({"PatientID": "p?x"}, 0),
        ({"PatientName": "test*"}, 1),
        ({"PatientName": "patient", "fuzzymatching": "true"}, 1),
        ({"PatientName": "100%_"}, 0),
        ({"ModalitiesInStudy": "SEG"}, 1),
        ({"ModalitiesInStudy": "US"}, 0),
        ({"StudyDate": "20040101-20041231"}, 2),
        ({"StudyDate": "20040826"}, 2),
        ({"StudyDate": "-19991231"}, 0),
        ({"StudyInstanceUID": f"{STUDY},1.2.3"}, 1),
    ],
)
def test_studies_are_found_by_their_attributes(client, query, expected):
    assert len(get_json(client, "/studies", **query)) == expected


def test_pages_hold_every_study_once(client):
    whole = get_json(client, "/studies")
    pages = [get_json(client, "/studies", limit=1, offset=n) for n in range(len(whole))]

    assert [page[0]["0020000D"] for page in pages] == [study["0020000D"] for study in whole]


def test_a_page_says_that_there_is_more(client):
    answer = client.get("/dicom-web/studies", params={"limit": 1})

    assert "additional results" in answer.headers["warning"]


def test_series_of_a_study_are_listed_in_the_order_of_their_numbers(client):
    found = get_json(client, f"/studies/{STUDY}/series", includefield="0008103E")

    assert [series["00080060"]["Value"][0] for series in found] == ["CT", "OT", "SR", "OT", "SEG"]
    assert found[0]["00201209"]["Value"] == [5]


def test_instances_are_listed_with_the_fields_asked_for(client):
    path = f"/studies/{STUDY}/series/{SERIES}/instances"

    plain = get_json(client, path)
    more = get_json(client, path, includefield="00280030")
    whole = get_json(client, path, includefield="all")

    assert [each["00200013"]["Value"][0] for each in plain] == [1, 2, 3, 4, 5]
    assert "00280030" not in plain[0]
    assert "00280030" in more[0]
    assert "00281053" in whole[0]


def test_metadata_come_from_the_index_alone(client, monkeypatch):
    def refuse(_self, _sha256):
        raise AssertionError("a file was opened")

    monkeypatch.setattr(type(client.app.state.storage.blobs), "read_chunks", refuse)

    found = get_json(client, f"/studies/{STUDY}/series/{SERIES}/metadata")

    assert len(found) == 5
    assert found[0]["00200037"]["Value"] == OBLIQUE
    assert get_json(client, f"/studies/{STUDY}/metadata")


def test_frames_come_as_they_are_encoded(client):
    content = read_bundled("JPEG2000.dcm")

    answer = client.get(f"/dicom-web{name(content)}/frames/1", headers={"Accept": FRAMES})

    syntax = pydicom.dcmread(io.BytesIO(content)).file_meta.TransferSyntaxUID
    assert f"transfer-syntax={syntax}".encode() in answer.content[:400]
    assert read_parts(answer)[0][:4] == b"\xff\x4f\xff\x51"


def test_native_frames_are_little_endian_pixels(client):
    content = read_bundled("MR_small.dcm")

    answer = client.get(f"/dicom-web{name(content)}/frames/1", headers={"Accept": FRAMES})

    expected = pydicom.dcmread(io.BytesIO(content)).pixel_array
    assert np.array_equal(np.frombuffer(read_parts(answer)[0], "<i2").reshape(64, 64), expected)


def test_frames_of_a_parametric_map_are_its_floats(client, reports):
    report = reports[ReportKind.PARAMETRIC_MAP]

    answer = client.get(f"/dicom-web{name(report.content)}/frames/2,1", headers={"Accept": FRAMES})

    first, second = (np.frombuffer(part, "<f4") for part in reversed(read_parts(answer)))
    both = np.frombuffer(report.dataset.FloatPixelData, "<f4")
    assert np.array_equal(np.concatenate([first, second]), both[: 2 * first.size])


def test_whole_objects_come_byte_for_byte(client, files, reports):
    one = client.get(f"/dicom-web{name(files[0])}", headers={"Accept": WHOLE})
    bare = client.get(f"/dicom-web{name(files[0])}", headers={"Accept": "application/dicom"})
    series = client.get(f"/dicom-web/studies/{STUDY}/series/{SERIES}", headers={"Accept": WHOLE})
    study = client.get(f"/dicom-web/studies/{STUDY}")

    assert read_parts(one) == [files[0]]
    assert bare.content == files[0]
    assert set(read_parts(series)) == set(files)
    assert set(read_parts(study)) == {*files, *(report.content for report in reports.values())}


@pytest.mark.parametrize(
    ("path", "accept", "status", "code"),
    [
        ("/studies/1.2.3/metadata", None, 404, "object_not_found"),
        (f"/studies/{STUDY}/series/1.2/metadata", None, 404, "object_not_found"),
        (f"/studies/{STUDY}", "text/html", 406, "not_acceptable"),
        (f"/studies/{STUDY}", "application/dicom", 406, "not_acceptable"),
        ("/studies?limit=x", None, 400, "invalid_query"),
    ],
)
def test_refusals_say_why(client, path, accept, status, code):
    answer = client.get(f"/dicom-web{path}", headers={"Accept": accept} if accept else {})

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("tail", "status"),
    [("/frames/2", 404), ("/frames/0", 404), ("/frames/x", 400), ("/frames/2/rendered", 404)],
)
def test_frames_that_are_not_there_are_refused(client, files, tail, status):
    assert client.get(f"/dicom-web{name(files[0])}{tail}").status_code == status


def test_a_slice_is_rendered_with_the_window_and_size_asked_for(client, files):
    path = f"/dicom-web{name(files[0])}/rendered"
    png = {"Accept": "image/png"}

    plain = Image.open(io.BytesIO(client.get(path, headers=png).content))
    white = client.get(path, params={"window": "-9000,1,linear"}, headers=png)
    small = client.get(path, params={"viewport": "10,10"}, headers={"Accept": "image/jpeg"})

    assert plain.size == (20, 24)
    assert np.asarray(Image.open(io.BytesIO(white.content))).min() == 255
    assert Image.open(io.BytesIO(small.content)).size == (8, 10)
    assert small.headers["content-type"] == "image/jpeg"


def test_a_capture_is_rendered_in_its_colours(client, reports):
    report = reports[ReportKind.SECONDARY_CAPTURE]

    answer = client.get(
        f"/dicom-web{name(report.content)}/rendered", headers={"Accept": "image/png"}
    )

    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    stored = np.frombuffer(report.dataset.PixelData, np.uint8)[: picture.size]
    assert np.array_equal(picture, stored.reshape(picture.shape))


def test_thumbnails_are_small(client, reports):
    for path in (
        name(reports[ReportKind.PARAMETRIC_MAP].content),
        f"/studies/{STUDY}/series/{SERIES}",
    ):
        answer = client.get(f"/dicom-web{path}/thumbnail")
        assert max(Image.open(io.BytesIO(answer.content)).size) == 128


def test_a_report_has_no_picture(client, reports):
    path = name(reports[ReportKind.STRUCTURED_REPORT].content)

    answer = client.get(f"/dicom-web{path}/rendered")

    assert answer.status_code == 422


def test_views_are_in_the_audit_trail_without_uids(client, files):
    client.get(f"/dicom-web{name(files[0])}", headers={"Accept": WHOLE})

    with client.app.state.storage.database.reading() as session:
        from_trail = [
            (entry.action, entry.subject)
            for entry in list_entries(session)
            if entry.subject.startswith("series:")
        ]
    assert {action for action, _ in from_trail} == {"case_viewed", "case_exported"}
    assert not any(ROOT in subject for _, subject in from_trail)


def list_entries(session):

    return list(AuditRepository(session).stream_entries())


def test_a_sender_may_neither_search_nor_retrieve(client):
    sender = make_key(client.app, Permission.SEND_SCANS)
    reader = make_key(client.app, Permission.READ_CASES)

    assert client.get("/dicom-web/studies", headers=sender).status_code == 403
    assert client.get(f"/dicom-web/studies/{STUDY}", headers=sender).status_code == 403
    assert client.get(f"/dicom-web/studies/{STUDY}", headers=reader).status_code == 403
    assert client.get("/dicom-web/studies", headers={"Authorization": ""}).status_code == 401
