import pytest

from app.web.drawing import Assets, Drawing, read_assets
from tests.builders.services import make_settings, run_service


@pytest.fixture
def bare(tmp_path):
    """A service whose pages nobody built."""
    with run_service(make_settings(tmp_path)) as client:
        state = client.app.state
        empty = Drawing(Assets(tmp_path, {}))
        state.pages = type(state.pages)(
            empty, state.pages.storage, state.pages.engine, state.pages.bundles,
            state.pages.views, state.pages.clock,
        )  # fmt: skip
        yield client


@pytest.mark.parametrize("address", ["/", "/sign-in"])
def test_without_built_pages_their_addresses_say_what_to_do(bare, address):
    answer = bare.get(address, headers={"Accept": "text/html"}, follow_redirects=False)

    assert answer.status_code == 503
    assert "make pages" in answer.text
    assert "<script" not in answer.text


def test_without_built_pages_programs_are_served_all_the_same(bare):
    assert bare.get("/api/v1/cases").status_code == 200


def test_a_folder_without_built_files_holds_none(tmp_path):
    assert not read_assets(tmp_path).is_built


def test_only_built_files_are_sent(tmp_path):
    with run_service(make_settings(tmp_path)) as client:
        for name in ("assets.json", "..%2Fdrawing.py", "none.js"):
            assert client.get(f"/static/{name}").status_code == 404


def test_no_page_is_told_of_in_the_interface_for_programs(tmp_path):
    with run_service(make_settings(tmp_path)) as client:
        paths = client.get("/api/v1/openapi.json").json()["paths"]

    assert [path for path in paths if path.startswith(("/worklist", "/cases", "/sign-in"))] == []


def test_a_form_of_another_site_is_refused(tmp_path):
    with run_service(make_settings(tmp_path)) as client:
        answer = client.post(
            "/setup",
            data={"setup_secret": "x", "name": "x", "password": "x" * 20},
            headers={"Sec-Fetch-Site": "cross-site", "Accept": "text/html"},
        )

    assert answer.status_code in {403, 503}
