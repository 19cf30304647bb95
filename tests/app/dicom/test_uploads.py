"""DICOM files that come over REST: indexed beside those of STOW and C-STORE, once."""

import pytest
from sqlalchemy import select

from app.cases.states import CaseState
from app.cases.tables import CaseRow
from app.dicom.repository import DicomRepository
from app.dicom.series import settle_due_series
from tests.builders.dicom import make_ramp
from tests.builders.objects import receive_object
from tests.builders.pictures import build_zip, encode_picture
from tests.builders.services import make_settings, run_service
from tests.builders.stow import DICOM_TYPE, build_message, build_object, make_uid

SCANS = "/api/v1/scans"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture(scope="module")
def client(tiny_bundle, tmp_path_factory):
    """A ready service that makes no DICOM results."""
    folder = tmp_path_factory.mktemp("service")
    settings = make_settings(folder, bundle=tiny_bundle, dicom_quiet_s=3600.0, dicom_results=())
    with run_service(settings) as client:
        yield client


@pytest.fixture
def storage(client):
    return client.app.state.storage


def send(client, content):
    answer = client.post(SCANS, params={"wait": 60}, content=content)
    assert answer.status_code in {200, 201}, answer.text
    return answer.json()


def build_series(study, series, count=3):
    return [build_object(study, series, 2.0 * number) for number in range(count)]


def zip_series(files):
    return build_zip({f"{number}.dcm": content for number, content in enumerate(files)})


def list_instances(client, study):
    return client.get(f"/dicom-web/studies/{study}/instances").json()


def find_row(storage, content_uid):
    with storage.database.reading() as session:
        return DicomRepository(session).find_instance(content_uid)


def store(client, content):
    """Hand an object in beside REST."""
    return receive_object(client.app.state.receiver, content)


def settle(client, study):
    client.post(f"/dicom-web/studies/{study}/complete")
    with client.app.state.storage.database.transaction() as session:
        settle_due_series(session, client.app.clock.now())


def test_a_single_file_is_found_by_dicomweb_and_given_back(client):
    study, uid = make_uid(), make_uid()
    content = build_object(study, make_uid(), SOPInstanceUID=uid)

    receipt = send(client, content)

    (found,) = list_instances(client, study)
    assert found["00080018"]["Value"] == [uid]
    assert receipt["files"][0]["index_code"] is None
    series = found["0020000E"]["Value"][0]
    answer = client.get(
        f"/dicom-web/studies/{study}/series/{series}/instances/{uid}",
        headers={"Accept": 'multipart/related; type="application/dicom"'},
    )
    assert content in answer.content


def test_every_file_of_a_zip_is_found_and_belongs_to_its_case(client, storage):
    study, series = make_uid(), make_uid()

    receipt = send(client, zip_series(build_series(study, series)))

    (case,) = receipt["cases"]
    found = list_instances(client, study)
    rows = [find_row(storage, each["00080018"]["Value"][0]) for each in found]
    assert len(rows) == 3
    assert {str(row.case_id) for row in rows} == {case["id"]}


def test_a_preamble_that_says_something_is_not_given_back(client, storage):
    study, uid = make_uid(), make_uid()
    content = build_object(study, make_uid(), SOPInstanceUID=uid)

    receipt = send(client, b"II*\0" + bytes(124) + content[128:])

    assert storage.blobs.read(find_row(storage, uid).sha256) == content
    assert receipt["files"][0]["index_code"] is None


def test_a_report_or_capture_is_kept_and_found_and_never_scored(client):
    study = make_uid()
    capture = build_object(study, make_uid(), SOPClassUID=SECONDARY_CAPTURE, Modality="OT")

    alone = send(client, capture)
    inside = send(client, zip_series([*build_series(study, make_uid(), 2), capture]))

    assert alone["cases"] == []
    assert [file["failure_code"] for file in alone["files"]] == ["kept_unscored"]
    assert alone["is_done"]
    assert [case["slice_count"] for case in inside["cases"]] == [2]
    codes = {file["label"]: file["failure_code"] for file in inside["files"]}
    assert codes == {"0.dcm": None, "1.dcm": None, "2.dcm": "kept_unscored"}
    assert len(list_instances(client, study)) == 3


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"SOPInstanceUID": None}, "unidentified_object"),
        ({"SOPClassUID": "1.2.840.10008.1.1"}, "unsupported_class"),
    ],
)
def test_what_the_index_refuses_is_scored_and_tells_the_reason_of_stow(client, changes, code):
    study = make_uid()
    content = build_object(study, make_uid(), **changes)

    receipt = send(client, content)
    answer = client.post(
        "/dicom-web/studies", content=build_message(content), headers={"Content-Type": DICOM_TYPE}
    )

    (file,) = receipt["files"]
    assert (file["index_code"], file["failure_code"]) == (code, None)
    assert file["verdict"]
    assert code in answer.text
    assert client.get(f"/dicom-web/studies/{study}/instances").status_code in {204, 404} or (
        list_instances(client, study) == []
    )


def test_another_object_under_a_known_uid_is_scored_and_not_indexed(client, storage):
    study, series, uid = make_uid(), make_uid(), make_uid()
    first, other = (build_object(study, series, SOPInstanceUID=uid) for _ in range(2))

    codes = [send(client, content)["files"][0]["index_code"] for content in (first, other)]

    assert codes == [None, "duplicate_object"]
    assert storage.blobs.read(find_row(storage, uid).sha256) == first


def test_another_capture_under_a_known_uid_is_refused(client):
    study, uid = make_uid(), make_uid()
    first, other = (
        build_object(study, make_uid(), SOPInstanceUID=uid, SOPClassUID=SECONDARY_CAPTURE)
        for _ in range(2)
    )
    send(client, first)

    answer = client.post(SCANS, content=other)

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "duplicate_object")


def test_the_same_object_by_both_ways_is_kept_once(client):
    study, series, uid = make_uid(), make_uid(), make_uid()
    content = build_object(study, series, SOPInstanceUID=uid)

    first = store(client, content)
    receipt = send(client, content)
    again = store(client, content)

    assert first.is_kept
    assert again.is_kept
    assert receipt["files"][0]["index_code"] is None
    assert len(list_instances(client, study)) == 1


def test_a_late_slice_by_c_store_joins_the_case_of_the_upload(client):
    study, series = make_uid(), make_uid()
    *early, late = build_series(study, series, 4)
    receipt = send(client, zip_series(early))

    store(client, late)
    settle(client, study)

    case = client.get(f"/api/v1/cases/{receipt['cases'][0]['id']}").json()
    assert len(case["files"]) == 4
    assert sorted(file["label"] or "" for file in case["files"]) == ["", "0.dcm", "1.dcm", "2.dcm"]


def test_no_case_waits_for_ever_where_an_upload_takes_its_slices(client, storage):
    study, series = make_uid(), make_uid()
    first, *others = build_series(study, series, 3)
    store(client, first)
    receipt = send(client, zip_series(others))

    settle(client, study)

    with storage.database.reading() as session:
        cases = session.scalars(select(CaseRow).where(CaseRow.series_uid == series)).all()
    assert [str(case.id) for case in cases] == [receipt["cases"][0]["id"]]
    assert cases[0].state != CaseState.RECEIVING


def test_what_is_no_dicom_is_not_indexed(client):
    receipt = send(client, encode_picture(make_ramp(64, 64).astype("uint8"), "png"))

    assert receipt["files"][0]["index_code"] is None
    assert client.get("/dicom-web/studies", params={"limit": 1000}).status_code in {200, 204}


def test_a_cut_header_is_refused(client):
    content = build_object(make_uid(), make_uid())

    answer = client.post(SCANS, content=content[:400])

    assert answer.status_code in {409, 422}


def test_deleting_the_case_takes_its_objects_from_the_index(client, storage):
    study, uid = make_uid(), make_uid()
    receipt = send(client, build_object(study, make_uid(), SOPInstanceUID=uid))

    answer = client.delete(f"/api/v1/cases/{receipt['cases'][0]['id']}")

    assert answer.status_code == 204, answer.text
    assert find_row(storage, uid) is None
