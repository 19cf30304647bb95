import threading
import time
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import delete

from app.analysis import shadows
from app.auth.permissions import ROLES, Role
from app.errors import EngineUnavailable, QueueFull
from app.storage.opening import open_storage
from app.storage.tables import LeaseRow
from tests.builders.bundles import copy_bundle, edit_json, edit_weights, sign_again
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import build_zip, encode_picture
from tests.builders.services import await_ready, make_key, make_settings, run_service

BUNDLES = "/api/v1/bundles"
_SEEDS = count(11_000)


@pytest.fixture
def client(tiny_bundle, tmp_path):
    """A ready service, called by an administrator's key."""
    with run_service(make_settings(tmp_path, bundle=tiny_bundle)) as client:
        yield client


@pytest.fixture
def other(tiny_bundle, tmp_path):
    """Another sound bundle, under another name."""
    folder = copy_bundle(tiny_bundle, tmp_path / "other")
    edit_json(folder / "manifest.json", lambda manifest: manifest.update(name="other"))
    sign_again(folder)
    return folder


def pack(folder, prefix=""):
    return build_zip({prefix + path.name: path.read_bytes() for path in folder.iterdir()})


def upload(client, content):
    return client.post(BUNDLES, content=content, headers={"Content-Type": "application/zip"})


def send(client, wait=60):
    picture = encode_picture(draw_scan(next(_SEEDS), has_lesion=True), "png")
    return client.post("/api/v1/scans", params={"wait": wait}, content=picture)


def list_states(client):
    return {item["name"]: item["state"] for item in client.get(BUNDLES).json()["items"]}


def test_the_bundle_of_the_settings_is_live_at_the_first_start(client, tiny_detector):
    item = client.get(BUNDLES).json()["items"][0]

    assert (item["digest"], item["state"]) == (tiny_detector.digest, "live")
    assert item["summary"]["recipe"] == "tiny"
    assert "#" in client.get(f"{BUNDLES}/{item['digest']}/card").json()["markdown"]


@pytest.mark.parametrize("prefix", ["", "mine/"])
def test_an_uploaded_bundle_is_registered_and_can_be_activated(client, other, prefix):
    added = upload(client, pack(other, prefix))
    before = send(client).json()["cases"][0]["bundle_digest"]

    activated = client.post(f"{BUNDLES}/{added.json()['digest']}/activate")

    after = send(client).json()["cases"][0]["bundle_digest"]
    assert (added.status_code, activated.status_code) == (201, 200)
    assert list_states(client) == {"tiny": "retired", "other": "live"}
    assert (before != after, after) == (True, added.json()["digest"])


def test_rollback_makes_live_what_was_live_before(client, other, tiny_detector):
    digest = upload(client, pack(other)).json()["digest"]
    client.post(f"{BUNDLES}/{digest}/activate")

    rolled = client.post(f"{BUNDLES}/rollback")

    assert rolled.json()["digest"] == tiny_detector.digest
    assert send(client).json()["cases"][0]["bundle_digest"] == tiny_detector.digest


def test_there_is_nothing_to_roll_back_to_at_first(client):
    answer = client.post(f"{BUNDLES}/rollback")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "move_not_allowed")


def test_a_candidate_scores_beside_the_live_bundle_for_admins_alone(client, other, tiny_detector):
    digest = upload(client, pack(other)).json()["digest"]
    client.post(f"{BUNDLES}/{digest}/candidate")
    reader = make_key(client.app, *ROLES[Role.READER])
    case = send(client).json()["cases"][0]
    address = f"/api/v1/cases/{case['id']}/history"

    def list_digests(headers):
        history = client.get(address, headers=headers).json()
        return {row["bundle_digest"] for row in history["findings"]}, str(history["audit"])

    for _ in range(200):
        seen, _ = list_digests(None)
        if len(seen) == 2:
            break
    hidden, audit = list_digests(reader)

    assert seen == {tiny_detector.digest, digest}
    assert hidden == {tiny_detector.digest}
    assert digest not in audit
    assert client.get(f"/api/v1/cases/{case['id']}").json()["bundle_digest"] == tiny_detector.digest


def test_what_a_retired_candidate_said_is_history_for_everybody(client, other, tiny_detector):
    digest = upload(client, pack(other)).json()["digest"]
    client.post(f"{BUNDLES}/{digest}/candidate")
    reader = make_key(client.app, *ROLES[Role.READER])
    address = f"/api/v1/cases/{send(client).json()['cases'][0]['id']}/history"
    for _ in range(200):
        if len(client.get(address).json()["findings"]) == 2:
            break

    client.delete(f"{BUNDLES}/{digest}/candidate")

    found = {row["bundle_digest"] for row in client.get(address, headers=reader).json()["findings"]}
    assert found == {tiny_detector.digest, digest}


def test_what_a_candidate_said_when_it_was_live_stays_visible(client, other, tiny_detector):
    digest = upload(client, pack(other)).json()["digest"]
    case = send(client).json()["cases"][0]
    client.post(f"{BUNDLES}/{digest}/activate")

    client.post(f"{BUNDLES}/{tiny_detector.digest}/candidate")

    reader = make_key(client.app, *ROLES[Role.READER])
    history = client.get(f"/api/v1/cases/{case['id']}/history", headers=reader).json()
    assert [row["bundle_digest"] for row in history["findings"]] == [tiny_detector.digest]


def test_a_candidate_scores_later_what_found_no_room(client, other, monkeypatch):
    digest = upload(client, pack(other)).json()["digest"]
    client.post(f"{BUNDLES}/{digest}/candidate")
    line = client.app.state.road.line.shadows
    submit, refused = line._submit, []

    def refuse_at_once(case, scan, candidate, timeout_s):
        if timeout_s == 0.0:
            refused.append(case.id)
            raise QueueFull
        submit(case, scan, candidate, timeout_s)

    monkeypatch.setattr(line, "_submit", refuse_at_once)
    case = send(client).json()["cases"][0]

    deadline = time.monotonic() + 30
    address = f"/api/v1/cases/{case['id']}/history"
    while len(client.get(address).json()["findings"]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [str(each) for each in refused] == [case["id"]]
    assert (line.waiting_count, line.missed_count) == (0, 0)


def test_what_a_candidate_had_still_to_score_at_a_stop_is_made_up_by_the_next_start(
    tiny_bundle, other, tmp_path, monkeypatch
):
    monkeypatch.setattr(shadows, "SETTLED", timedelta(0))
    settings = make_settings(tmp_path, bundle=tiny_bundle)
    with run_service(settings) as client:
        digest = upload(client, pack(other)).json()["digest"]
        client.post(f"{BUNDLES}/{digest}/candidate")
        monkeypatch.setattr(client.app.state.road.line.shadows, "score", lambda *_: None)
        case = send(client).json()["cases"][0]
        address = f"/api/v1/cases/{case['id']}/history"
        before = len(client.get(address).json()["findings"])
    storage = open_storage(settings)
    with storage.database.transaction() as session:
        session.execute(delete(LeaseRow).where(LeaseRow.name == "shadows"))
    storage.close()

    with run_service(settings) as client:
        deadline = time.monotonic() + 30
        while len(client.get(address).json()["findings"]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert before == 1


def test_what_a_candidate_never_scores_is_counted(client, other, monkeypatch):
    digest = upload(client, pack(other)).json()["digest"]
    client.post(f"{BUNDLES}/{digest}/candidate")

    def refuse(*_):
        raise EngineUnavailable

    monkeypatch.setattr(client.app.state.road.line.shadows, "_submit", refuse)
    send(client)

    assert "aegle_shadows_missed_total 1.0" in client.get("/metrics").text


def test_a_candidate_can_be_ended_and_the_live_bundle_not(client, other, tiny_detector):
    digest = upload(client, pack(other)).json()["digest"]
    client.post(f"{BUNDLES}/{digest}/candidate")

    ended = client.delete(f"{BUNDLES}/{digest}/candidate")
    live = client.delete(f"{BUNDLES}/{tiny_detector.digest}/candidate")

    assert (ended.json()["state"], live.status_code) == ("retired", 409)


def test_bundles_are_swapped_under_load_without_losing_an_upload(client, other, tiny_detector):
    digest = upload(client, pack(other)).json()["digest"]
    answers = []
    sender = threading.Thread(target=lambda: answers.extend(send(client) for _ in range(30)))
    sender.start()

    for live in [digest, tiny_detector.digest] * 3:
        assert client.post(f"{BUNDLES}/{live}/activate").status_code == 200
    sender.join(120)

    assert [answer.status_code for answer in answers] == [201] * 30
    assert {answer.json()["cases"][0]["state"] for answer in answers} == {"scored"}


def spoil_card(folder):
    (folder / "card.md").write_text("better than it is")


def spoil_scores(folder):
    edit_weights(folder, lambda weights: weights.update(_shift_scales(weights)))
    sign_again(folder)


def _shift_scales(weights):
    return {name: value + 1 for name, value in weights.items() if name.startswith("scale.")}


def add_pickle(folder):
    (folder / "weights.pkl").write_bytes(b"\x80\x04.")


def drop_check(folder):
    (folder / "check.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (spoil_card, "digest_mismatch"),
        (spoil_scores, "check_failed"),
        (add_pickle, "invalid_manifest"),
        (drop_check, "invalid_manifest"),
    ],
)
def test_a_spoilt_bundle_is_refused_and_nothing_changes(client, other, spoil, code):
    spoil(other)

    answer = upload(client, pack(other))

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    assert list_states(client) == {"tiny": "live"}
    assert send(client).status_code == 201


@pytest.mark.parametrize("content", [b"", b"garbage", build_zip({"../manifest.json": b"{}"})])
def test_what_is_no_bundle_is_refused(client, content):
    assert upload(client, content).status_code == 422


def test_a_bundle_that_nobody_knows_cannot_be_activated(client):
    answer = client.post(f"{BUNDLES}/{'0' * 64}/activate")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "bundle_not_registered")


def test_only_admins_change_bundles(client, other):
    digest = upload(client, pack(other)).json()["digest"]
    reader = make_key(client.app, *ROLES[Role.READER])

    refused = client.post(f"{BUNDLES}/{digest}/activate", headers=reader)

    assert refused.status_code == 403
    assert client.get(BUNDLES, headers=reader).status_code == 200


def test_the_live_bundle_is_loaded_again_at_the_next_start(tiny_bundle, other, tmp_path):
    settings = make_settings(tmp_path, bundle=tiny_bundle)
    with run_service(settings) as client:
        digest = upload(client, pack(other)).json()["digest"]
        client.post(f"{BUNDLES}/{digest}/activate")

    with run_service(settings.model_copy(update={"bundle": None})) as again:
        await_ready(again)
        live = again.get("/readyz").json()["live_bundle"]

    assert live == digest
