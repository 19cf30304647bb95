"""With patients taken out at intake nothing of them is kept, whichever way an object came."""

import io
import time

import pydicom
import pytest
from pydicom.uid import CTImageStorage

from app.dicom.tables import CrosswalkRow
from app.storage.tables import Table
from tests.builders.dicom import build_nested, make_ramp
from tests.builders.objects import receive_object
from tests.builders.pictures import build_zip, encode_picture
from tests.builders.services import make_settings, run_service
from tests.builders.stow import DICOM_TYPE, build_message, build_object, make_uid

SCANS = "/api/v1/scans"
PATIENCE_S = 120.0
CANARY = {
    "PatientName": "Canary^Person",
    "PatientID": "CANARY-7",
    "AccessionNumber": "CANARY-9",
    "StudyDescription": "head of Canary",
    "InstitutionName": "Canary Clinic",
}


@pytest.fixture(scope="module")
def client(tiny_bundle, tmp_path_factory):
    """A ready service that keeps no patient."""
    folder = tmp_path_factory.mktemp("service")
    settings = make_settings(
        folder, bundle=tiny_bundle, dicom_quiet_s=3600.0, deidentify_intake=True
    )
    with run_service(settings) as client:
        yield client


def build_named(study, series, position_mm=0.0, **attributes):
    return build_object(study, series, position_mm, **{**CANARY, **attributes})


def send_by_rest(client, content, **options):
    return client.post(SCANS, params={"wait": 60}, content=content, **options)


def send_by_zip(client, content):
    return send_by_rest(client, build_zip({"Canary_Person/CANARY-7.dcm": content}))


def send_by_form(client, content):
    fields = {"patient_name": "Canary", "accession": "CANARY-9", "tags": '{"of": "Canary"}'}
    files = {"file": ("Canary.dcm", content)}
    return client.post(SCANS, params={"wait": 60}, files=files, data=fields)


def send_by_stow(client, content):
    return client.post(
        "/dicom-web/studies", content=build_message(content), headers={"Content-Type": DICOM_TYPE}
    )


def send_by_store(client, content):
    assert receive_object(client.app.state.receiver, content).is_kept


WAYS = {
    "REST": send_by_rest,
    "zip": send_by_zip,
    "form": send_by_form,
    "STOW": send_by_stow,
    "C-STORE": send_by_store,
}


def find_canaries(client):
    """Give where a canary is kept: blobs, tables but the crosswalk, drafts that were left."""
    storage = client.app.state.storage
    found = [
        entry.sha256
        for entry in storage.blobs.list_blobs()
        if b"canary" in storage.blobs.read(entry.sha256).lower()
    ]
    with storage.database.reading() as session:
        for table in Table.metadata.sorted_tables:
            rows = session.execute(table.select()).all()
            if table.name != CrosswalkRow.__tablename__ and "canary" in str(rows).lower():
                found.append(table.name)
    drafts = [path for path in storage.blobs.spool.rglob("*") if path.is_file()]
    return found + [path.name for path in drafts if b"canary" in path.read_bytes().lower()]


def list_studies(client):
    return {each["0020000D"]["Value"][0] for each in client.get("/dicom-web/studies").json()}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_the_patient_is_kept(client, way):
    study, before = make_uid(), list_studies(client)

    answer = WAYS[way](client, build_named(study, make_uid()))

    assert answer is None or answer.status_code in {200, 201}, answer.text
    assert find_canaries(client) == []
    (kept,) = list_studies(client) - before
    assert kept.startswith("2.25.")


def test_the_same_study_and_person_are_the_same_by_every_way(client):
    study, before = make_uid(), list_studies(client)

    for send in WAYS.values():
        send(client, build_named(study, make_uid()))

    (kept,) = list_studies(client) - before
    slices = {"StudyInstanceUID": kept, "SOPClassUID": CTImageStorage}
    assert len(client.get("/dicom-web/instances", params=slices).json()) == len(WAYS)
    (told,) = client.get("/dicom-web/studies", params={"StudyInstanceUID": kept}).json()
    assert told["00100020"]["Value"][0].startswith("AEGLE-")


def test_the_same_bytes_are_one_upload_and_the_receipt_tells_their_digest(client):
    content = build_zip({"a.dcm": build_named(make_uid(), make_uid())})

    first, again = send_by_rest(client, content), send_by_rest(client, content)

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["upload_id"] == again.json()["upload_id"]
    assert len({first.json()["sha256"], again.json()["sha256"]}) == 1


def test_a_stow_sender_is_told_its_own_uid_and_no_other(client):
    study, uid = make_uid(), make_uid()

    told = send_by_stow(client, build_named(study, make_uid(), SOPInstanceUID=uid)).json()

    (kept,) = told["00081199"]["Value"]
    assert kept["00081155"]["Value"] == [uid]
    assert kept["00081196"]["Value"] == [0xB000]
    assert "2.25." not in str(told)


def test_a_study_is_told_complete_by_the_uid_its_sender_knows(client):
    study = make_uid()
    send_by_stow(client, build_named(study, make_uid()))

    told = client.post(f"/dicom-web/studies/{study}/complete").json()

    assert told == {"series": 1}


def test_an_object_of_another_study_than_the_one_addressed_is_refused(client):
    message = build_message(build_named(make_uid(), make_uid()))

    answer = client.post(
        f"/dicom-web/studies/{make_uid()}", content=message, headers={"Content-Type": DICOM_TYPE}
    )

    assert answer.status_code == 409


def test_what_is_no_dicom_is_refused_and_not_kept(client):
    picture = encode_picture(make_ramp(64, 64).astype("uint8"), "png")

    alone = send_by_rest(client, picture)
    inside = send_by_rest(client, build_zip({"a.png": picture}))
    beside = send_by_rest(
        client, build_zip({"a.png": picture, "b.dcm": build_named(make_uid(), make_uid())})
    )

    for answer in (alone, inside):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_deidentifiable")
    codes = {file["failure_code"] for file in beside.json()["files"]}
    assert codes == {None, "not_deidentifiable"}


@pytest.mark.parametrize(
    "content",
    [build_nested(200), build_named(make_uid(), make_uid())[:400]],
    ids=["nested", "cut"],
)
def test_what_cannot_be_cleaned_is_refused_and_not_kept(client, content):
    answer = send_by_rest(client, content)

    assert 400 <= answer.status_code < 500
    assert find_canaries(client) == []


def await_reported(client, case_id):
    """Wait until the results of a case are told, by the service's own thread or by this one."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        client.app.state.road.outgoing.reporter.tell_due()
        told = client.get(f"/api/v1/cases/{case_id}/dicom").json()
        if told["reports"][0]["object_count"]:
            return told
        assert time.monotonic() < deadline, "no results came"
        time.sleep(0.05)


def test_results_lie_in_the_study_that_is_kept_and_are_not_renamed_again(client):
    before = list_studies(client)

    receipt = send_by_rest(client, build_named(make_uid(), make_uid())).json()

    (kept,) = list_studies(client) - before
    told = await_reported(client, receipt["cases"][0]["id"])
    series = client.get(f"/dicom-web/studies/{kept}/series").json()
    assert told["reports"][0]["object_count"] >= 3
    assert {each["00080060"]["Value"][0] for each in series} >= {"CT", "OT", "SR"}


def test_the_same_object_is_cleaned_to_the_same_bytes(client):
    cleaner = client.app.state.receiver.cleaner
    path = client.app.state.storage.blobs.spool / "object.dcm"
    path.write_bytes(build_named(make_uid(), make_uid()))

    first, again = (cleaner.clean(path, path.stat().st_size) for _ in range(2))

    path.unlink()
    assert first == again
    assert pydicom.dcmread(io.BytesIO(first)).PatientIdentityRemoved == "YES"
