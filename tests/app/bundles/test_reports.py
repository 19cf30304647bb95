"""Evaluation reports: kept beside their bundle, given as documents that can do nothing."""

import pytest

from app.auth.permissions import ROLES, Role
from app.bundles.reports import MAX_REPORT_BYTES
from tests.builders.services import make_key, make_settings, run_service

HTML = {"Content-Type": "text/html"}


@pytest.fixture(scope="module")
def client(tiny_bundle, tmp_path_factory):
    """A service with a bundle, called by an administrator's key."""
    with run_service(make_settings(tmp_path_factory.mktemp("reports"), bundle=tiny_bundle)) as one:
        yield one


@pytest.fixture(scope="module")
def address(client):
    """Where the report of the live bundle is."""
    digest = client.get("/api/v1/bundles").json()["items"][0]["digest"]
    return f"/api/v1/bundles/{digest}/report"


def write_page(address, text=""):
    """Give a page that names the bundle."""
    return f"<!doctype html><html><p>{address.split('/')[-2]}</p>{text}</html>".encode()


def test_a_report_is_given_as_it_was_handed_in_under_a_policy_that_lets_it_do_nothing(
    client, address
):
    page = write_page(address, "<script>alert(1)</script><style>p { color: red }</style>")

    kept = client.put(address, content=page, headers=HTML)
    given = client.get(address)

    assert kept.status_code == 200
    assert given.content == page
    assert given.headers["Content-Type"].startswith("text/html")
    policy = given.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "script" not in policy
    assert "frame-ancestors 'self'" in policy


def test_a_later_report_takes_the_place_of_the_one_before_and_both_stand_in_the_trail(
    client, address
):
    for text in ("one", "two"):
        client.put(address, content=write_page(address, text), headers=HTML)

    assert b"two" in client.get(address).content
    entries = client.get("/api/v1/audit").json()["items"]
    assert sum(entry["action"] == "report_kept" for entry in entries) >= 2


@pytest.mark.parametrize(
    "content", [b"", b"no page", b"<html>of another bundle</html>", b"\x00" * 100]
)
def test_what_is_no_report_of_this_bundle_is_refused(client, address, content):
    answer = client.put(address, content=content, headers=HTML)

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_request")


def test_a_report_that_is_too_large_is_refused(client, address):
    page = write_page(address, "x" * MAX_REPORT_BYTES)

    assert client.put(address, content=page, headers=HTML).status_code == 413


def test_a_bundle_that_nobody_knows_has_none_and_takes_none(client):
    unknown = f"/api/v1/bundles/{'0' * 64}/report"

    assert client.get(unknown).status_code == 404
    assert client.put(unknown, content=write_page(unknown), headers=HTML).status_code == 404


def test_readers_see_a_report_and_only_administrators_hand_one_in(client, address):
    client.put(address, content=write_page(address), headers=HTML)
    reader = make_key(client.app, *ROLES[Role.READER])
    sender = make_key(client.app, *ROLES[Role.SENDER])

    assert client.get(address, headers=reader).status_code == 200
    assert client.get(address, headers=sender).status_code == 403
    refused = client.put(address, content=write_page(address), headers=HTML | reader)
    assert refused.status_code == 403
