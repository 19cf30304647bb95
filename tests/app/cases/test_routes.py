from itertools import count

import pytest

from app.auth.permissions import ROLES, Permission, Role
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture
from tests.builders.services import make_key, make_settings, run_service

CASES = "/api/v1/cases"
NOWHERE = "0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a"
_SEEDS = count(9000)


@pytest.fixture(scope="module")
def client(tiny_bundle, tmp_path_factory):
    """A ready service, called by an administrator's key."""
    folder = tmp_path_factory.mktemp("service")
    with run_service(make_settings(folder, bundle=tiny_bundle)) as client:
        yield client


@pytest.fixture
def case(client):
    return send(client)


def send(client, **fields):
    picture = encode_picture(draw_scan(next(_SEEDS), has_lesion=True), "png")
    answer = client.post(
        "/api/v1/scans", params={"wait": 60}, files={"file": ("x.png", picture)}, data=fields
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["cases"][0]


def list_ids(client, **query):
    answer = client.get(CASES, params=query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def search_ids(client, **order):
    answer = client.post(f"{CASES}/search", json=order)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def test_the_worklist_is_filtered(client):
    north, south = send(client, site="north-1"), send(client, site="south-1")

    assert list_ids(client, site="north-1") == [north["id"]]
    assert set(list_ids(client, verdict=south["verdict"])) >= {south["id"]}
    assert list_ids(client, status="quarantined") == []
    assert list_ids(client, received_before="2001-01-01T00:00:00") == []


def test_a_case_is_found_by_a_word_of_its_patient(client):
    case = send(client, patient_name="Zwicky^Fritz", accession="ACC-881")

    assert search_ids(client, text="zwick") == [case["id"]]
    assert search_ids(client, text="acc-88", status="scored", verdict=case["verdict"]) == [
        case["id"]
    ]
    assert search_ids(client, text="zwick", site="elsewhere") == []


@pytest.mark.parametrize("field", ["text", "patient", "patient_id", "patient_name", "accession"])
def test_no_address_takes_patient_data(client, field):
    answer = client.get(CASES, params={field: "CANARY"})

    assert answer.status_code == 422
    assert "CANARY" not in answer.text


def test_no_route_has_a_parameter_for_patient_data(client):
    operations = [
        operation
        for path, item in client.app.openapi()["paths"].items()
        if path.startswith("/api/")
        for operation in item.values()
    ]

    names = {each["name"] for operation in operations for each in operation.get("parameters", [])}

    assert not {name for name in names if "patient" in name or name in {"text", "q", "accession"}}


def test_a_search_goes_on_by_its_cursor_and_only_there(client):
    sent = {send(client, patient_name="Paged^Paula")["id"] for _ in range(3)}

    first = client.post(f"{CASES}/search", json={"text": "paged", "limit": 2}).json()
    order = {"text": "paged", "limit": 2, "cursor": first["next_cursor"]}
    second = client.post(f"{CASES}/search", json=order).json()
    other = client.post(f"{CASES}/search", json=order | {"text": "paul"})

    assert {item["id"] for item in first["items"] + second["items"]} == sent
    assert second["next_cursor"] is None
    assert (other.status_code, other.json()["error"]["code"]) == (400, "invalid_cursor")
    assert "paged" not in first["next_cursor"]


@pytest.mark.parametrize("body", [{"text": ""}, {"text": "x" * 200}, {"name": "x"}, {"limit": 0}])
def test_a_search_of_another_form_is_refused(client, body):
    assert client.post(f"{CASES}/search", json=body).status_code == 422


def test_only_readers_search(client):
    sender = make_key(client.app, *ROLES[Role.SENDER])

    assert client.post(f"{CASES}/search", json={}, headers=sender).status_code == 403


@pytest.mark.parametrize("sort", ["score", "time", "age", "modality"])
def test_pages_give_every_case_once_in_order(client, sort):
    sent = {send(client, site=f"pages-{sort}")["id"] for _ in range(5)}
    seen, cursor = [], None

    while cursor is not None or not seen:
        query = {"site": f"pages-{sort}", "sort": sort, "limit": 2}
        page = client.get(CASES, params=query | ({"cursor": cursor} if cursor else {})).json()
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    key = {"time": "received_at", "age": "received_at"}.get(sort, "score")
    values = [item[key] for item in seen]
    assert {item["id"] for item in seen} == sent
    assert values == sorted(values, reverse=sort != "age")


@pytest.mark.parametrize(
    "query",
    [
        {"verdict": "normal"},
        {"limit": 0},
        {"limit": 10_000},
        {"sort": "name"},
        {"bundle": "x"},
        {"unknown": "1"},
        {"received_from": "yesterday"},
    ],
)
def test_a_filter_that_is_none_is_refused(client, query):
    assert client.get(CASES, params=query).status_code == 422


def test_a_cursor_of_another_list_is_refused(client):
    answer = client.get(CASES, params={"cursor": "abc"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize("what", ["", "/history", "/original", "/overlay.png", "/scan"])
def test_a_case_that_is_not_there_is_told(client, what):
    answer = client.get(f"{CASES}/{NOWHERE}{what}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "case_not_found")


def test_a_review_shows_on_the_case_and_can_be_undone(client, case):
    address = f"{CASES}/{case['id']}"
    review = client.post(f"{address}/reviews", json={"decision": "dismissed", "note": "artefact"})
    shown = client.get(address).json()["review"]

    undone = client.delete(f"{address}/reviews/{review.json()['id']}")

    history = client.get(f"{address}/history").json()
    assert (review.status_code, shown) == (201, "dismissed")
    assert review.json()["finding_id"] == case["finding"]["id"]
    assert client.get(address).json()["review"] == "none"
    assert undone.json()["undone_at"] is not None
    assert [row["note"] for row in history["reviews"]] == ["artefact"]


@pytest.mark.parametrize("body", [{"decision": "none"}, {"decision": "confirmed", "x": 1}, {}])
def test_a_review_of_another_form_is_refused(client, case, body):
    assert client.post(f"{CASES}/{case['id']}/reviews", json=body).status_code == 422


def test_the_original_comes_back_byte_for_byte(client):
    picture = encode_picture(draw_scan(next(_SEEDS), has_lesion=False), "png")
    receipt = client.post("/api/v1/scans", params={"wait": 60}, content=picture).json()

    answer = client.get(f"{CASES}/{receipt['cases'][0]['id']}/original")

    assert answer.content == picture
    assert receipt["sha256"] in answer.headers["Content-Disposition"]


def test_a_deleted_case_is_gone(client, case):
    deleted = client.delete(f"{CASES}/{case['id']}")

    assert deleted.status_code == 204
    assert client.get(f"{CASES}/{case['id']}").status_code == 404


def test_views_reviews_and_exports_stand_in_the_history(client, case):
    address = f"{CASES}/{case['id']}"
    client.get(address)
    client.get(f"{address}/preview.png")
    client.get(f"{address}/overlay.png")
    client.get(f"{address}/original")

    entries = client.get(f"{address}/history").json()["audit"]

    actions = [entry["action"] for entry in entries]
    assert actions == ["case_scored", "case_viewed", "case_viewed", "case_exported"]


@pytest.mark.parametrize(
    ("role", "allowed"),
    [(Role.SENDER, set()), (Role.READER, {"read", "review"}), (Role.ADMIN, {"read", "review"})],
)
def test_roles_may_do_what_they_may(client, case, role, allowed):
    key = make_key(client.app, *ROLES[role])
    address = f"{CASES}/{case['id']}"

    read = client.get(address, headers=key).status_code == 200
    review = (
        client.post(f"{address}/reviews", json={"decision": "unsure"}, headers=key).status_code
        == 201
    )

    assert {"read"} & allowed == ({"read"} if read else set())
    assert {"review"} & allowed == ({"review"} if review else set())


def test_readers_may_not_delete(client, case):
    reader = make_key(client.app, *ROLES[Role.READER])

    assert client.delete(f"{CASES}/{case['id']}", headers=reader).status_code == 403


def test_a_key_with_one_scope_may_nothing_else(client, case):
    key = make_key(client.app, Permission.READ_JOBS)

    assert client.get(CASES, headers=key).status_code == 403
    assert client.get(f"{CASES}/{case['id']}/overlay.png", headers=key).status_code == 403
