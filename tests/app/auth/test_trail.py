import csv
import io

import pytest

from app.auth.permissions import ROLES, Permission, Role

AUDIT = "/api/v1/audit"
NOWHERE = "0190e4a0-7b1c-7d55-8a51-3f0a1d2c3b4a"


def list_actions(client, **query):
    answer = client.get(AUDIT, params=query)
    assert answer.status_code == 200, answer.text
    return [item["action"] for item in answer.json()["items"]]


def read_sheet(client, **query):
    answer = client.get(f"{AUDIT}.csv", params=query)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.fixture
def lived(admin):
    """An administrator who made three keys and ended one."""
    for name in ("one", "two", "three"):
        made = admin.post("/api/v1/keys", json={"name": name, "scopes": ["scans:send"]}).json()
    admin.delete(f"/api/v1/keys/{made['id']}")
    return admin


def test_the_trail_is_listed_newest_first(lived):
    expected = ["key_revoked", "key_created", "key_created", "key_created", "login_done"]

    assert list_actions(lived) == [*expected, "setup_done"]


def test_the_trail_is_filtered(lived):
    me = lived.get("/api/v1/session").json()["id"]

    assert list_actions(lived, action="key_revoked") == ["key_revoked"]
    assert len(list_actions(lived, actor=me, action="key_created")) == 3
    assert list_actions(lived, actor="nobody") == []
    assert list_actions(lived, case=NOWHERE) == []
    assert list_actions(lived, at_before="2001-01-01T00:00:00") == []


def test_a_page_goes_on_by_its_cursor(lived):
    first = lived.get(AUDIT, params={"limit": 4}).json()

    second = lived.get(AUDIT, params={"limit": 4, "cursor": first["next_cursor"]}).json()

    sequences = [item["sequence"] for item in first["items"] + second["items"]]
    assert sequences == [6, 5, 4, 3, 2, 1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    "query", [{"cursor": "x"}, {"cursor": "9" * 30}, {"limit": 0}, {"action": "x"}, {"who": "x"}]
)
def test_a_filter_that_is_none_is_refused(admin, query):
    assert admin.get(AUDIT, params=query).status_code == 422


def test_the_sheet_holds_the_trail_and_its_own_export_last(lived):
    rows = read_sheet(lived)

    assert [int(row["sequence"]) for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert rows[-1]["action"] == "audit_exported"
    assert list_actions(lived)[0] == "audit_exported"


def test_a_filtered_sheet_says_so_in_the_trail(lived):
    rows = read_sheet(lived, action="key_created")

    newest = lived.get(AUDIT).json()["items"][0]
    assert [row["action"] for row in rows] == ["key_created"] * 3
    assert (newest["action"], newest["detail"]) == ("audit_exported", {"action": "key_created"})


def test_a_sheet_longer_than_a_chunk_is_whole(lived, monkeypatch):
    monkeypatch.setattr("app.auth.trail.PAGE", 2)

    assert [int(row["sequence"]) for row in read_sheet(lived)] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("address", [AUDIT, f"{AUDIT}.csv"])
def test_only_who_may_read_the_trail_does(browser, make_key, address):
    reader = make_key(*ROLES[Role.READER])
    auditor = make_key(Permission.READ_AUDIT)

    assert browser.get(address, headers=reader).status_code == 403
    assert browser.get(address, headers=auditor).status_code == 200
