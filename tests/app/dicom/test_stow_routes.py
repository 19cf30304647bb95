"""Objects handed in by STOW-RS: every part has a verdict, and what is told as stored is on disk."""

import pytest

from app.dicom.repository import DicomRepository
from app.errors import DatabaseUnavailable, StorageFull
from tests.builders.hostile_stow import HOSTILE
from tests.builders.stow import (
    BOUNDARY,
    DICOM_TYPE,
    build_message,
    build_object,
    make_uid,
)

HEADERS = {"Content-Type": DICOM_TYPE}
FAILED, KEPT, OTHER = "00081198", "00081199", "0008119A"


@pytest.fixture
def study():
    return make_uid()


def list_reasons(answer):
    items = [*answer.get(FAILED, {}).get("Value", ()), *answer.get(OTHER, {}).get("Value", ())]
    return [item["00081197"]["Value"][0] for item in items]


def list_kept(answer):
    return [item["00081155"]["Value"][0] for item in answer.get(KEPT, {}).get("Value", ())]


def find_instance(service, sop_uid):
    with service.state.storage.database.reading() as session:
        return DicomRepository(session).find_instance(sop_uid)


def count_instances(service, study):
    with service.state.storage.database.reading() as session:
        repository = DicomRepository(session)
        series = repository.list_study_series(study)
        return sum(len(repository.list_series_instances(row.id)) for row in series)


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_a_hostile_message_is_never_answered_as_stored(client, service, study, hostile):
    body = hostile.build(study)

    answer = client.post(
        f"/dicom-web/studies/{study}",
        content=body,
        headers={"Content-Type": hostile.content_type},
    )

    told = answer.json()
    assert answer.status_code == hostile.status, told
    assert list_reasons(told) == list(hostile.reasons)
    assert len(list_kept(told)) == hostile.kept == count_instances(service, study)
    if not hostile.reasons:
        assert told["error"]["code"]


def test_all_parts_of_a_good_message_are_stored_and_told(client, service, study):
    parts = [build_object(study, make_uid(), SOPInstanceUID=make_uid()) for _ in range(3)]

    answer = client.post("/dicom-web/studies", content=build_message(*parts), headers=HEADERS)

    kept = list_kept(answer.json())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/dicom+json"
    assert len(kept) == 3
    stored = service.state.storage.blobs.read(find_instance(service, kept[1]).sha256)
    assert stored == parts[1]


def test_a_bare_object_is_a_message_too(client, study):
    content = build_object(study, make_uid())

    answer = client.post(
        "/dicom-web/studies", content=content, headers={"Content-Type": "application/dicom"}
    )

    assert answer.status_code == 200
    assert len(list_kept(answer.json())) == 1


def test_the_same_object_again_is_stored_once_and_told_as_stored(client, service, study):
    body = build_message(build_object(study, make_uid()))

    first = client.post("/dicom-web/studies", content=body, headers=HEADERS)
    again = client.post("/dicom-web/studies", content=body, headers=HEADERS)

    assert first.status_code == again.status_code == 200
    assert list_kept(first.json()) == list_kept(again.json())
    assert count_instances(service, study) == 1


def test_a_program_in_the_preamble_is_wiped(client, service, study):
    uid = make_uid()
    content = b"MZ" + b"\x90" * 126 + build_object(study, make_uid(), SOPInstanceUID=uid)[128:]

    client.post("/dicom-web/studies", content=build_message(content), headers=HEADERS)

    stored = service.state.storage.blobs.read(find_instance(service, uid).sha256)
    assert stored == bytes(128) + content[128:]


@pytest.mark.parametrize("cut", [128 + 4, None], ids=["without preamble", "bare data set"])
def test_what_comes_without_preamble_is_kept_as_a_file(client, service, study, cut):
    uid = make_uid()
    whole = build_object(study, make_uid(), SOPInstanceUID=uid)
    content = whole[cut or whole.index(b"\x08\x00\x16\x00UI") :]

    answer = client.post("/dicom-web/studies", content=build_message(content), headers=HEADERS)

    assert answer.status_code == 200, answer.text
    stored = service.state.storage.blobs.read(find_instance(service, uid).sha256)
    assert stored[:132] == bytes(128) + b"DICM"
    assert stored.endswith(whole[-4096:])


def test_a_study_uid_that_is_none_is_refused(client):
    answer = client.post("/dicom-web/studies/..%2F..", content=b"x", headers=HEADERS)

    assert answer.status_code in {404, 422}


def test_a_body_in_small_pieces_is_the_same_message(client, study):
    body = build_message(*(build_object(study, make_uid()) for _ in range(2)))
    pieces = (body[start : start + 97] for start in range(0, len(body), 97))

    answer = client.post("/dicom-web/studies", content=pieces, headers=HEADERS)

    assert answer.status_code == 200
    assert len(list_kept(answer.json())) == 2


def test_a_boundary_may_stand_in_quotes_and_behind_a_line_end(client, study):
    content_type = f'multipart/related; boundary="{BOUNDARY}"; type="application/dicom"'

    answer = client.post(
        "/dicom-web/studies",
        content=build_message(build_object(study, make_uid())),
        headers={"Content-Type": content_type},
    )

    assert answer.status_code == 200


def test_a_full_disk_is_told_before_the_body_is_read(client, service, study, monkeypatch):
    monkeypatch.setattr(service.state.storage.watermark, "min_free_bytes", 2**62)

    answer = client.post(
        "/dicom-web/studies", content=build_message(build_object(study, "1.2")), headers=HEADERS
    )

    assert answer.status_code == 507
    assert answer.json()["error"]["code"] == "storage_full"


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [(StorageFull(), 507, 0xA700), (DatabaseUnavailable(), 503, 0xA702)],
)
def test_what_cannot_be_kept_now_is_told_as_such(
    client, service, study, monkeypatch, error, status, reason
):
    def refuse(*_args):
        raise error

    monkeypatch.setattr(service.state.receiver, "_keep", refuse)

    answer = client.post(
        "/dicom-web/studies", content=build_message(build_object(study, "1.2")), headers=HEADERS
    )

    assert answer.status_code == status
    assert list_reasons(answer.json()) == [reason]
    assert ("retry-after" in answer.headers) is (status == 503)


def test_more_messages_at_once_than_places_are_sent_away(client, service, study, monkeypatch):
    monkeypatch.setattr(service.state.stow_places, "_free", 0)

    answer = client.post(
        "/dicom-web/studies", content=build_message(build_object(study, "1.2")), headers=HEADERS
    )

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


def test_a_message_of_too_many_parts_keeps_the_first_ones(client, study, monkeypatch):
    monkeypatch.setattr("app.dicom.stow_desk.MAX_PARTS", 2)
    body = build_message(*(build_object(study, make_uid()) for _ in range(3)))

    answer = client.post("/dicom-web/studies", content=body, headers=HEADERS)

    assert answer.status_code == 202
    assert list_reasons(answer.json()) == [0xC003]


def test_drafts_of_refused_parts_are_thrown_away(client, service, study):
    for hostile in HOSTILE[7:12]:
        client.post(
            f"/dicom-web/studies/{study}",
            content=hostile.build(study),
            headers={"Content-Type": hostile.content_type},
        )

    assert list(service.state.storage.blobs.spool.glob("draft-*")) == []


def test_a_sender_needs_a_key(client, study):
    answer = client.post(
        "/dicom-web/studies",
        content=build_message(build_object(study, "1.2")),
        headers=HEADERS | {"Authorization": "Bearer nonsense"},
    )

    assert answer.status_code == 401
