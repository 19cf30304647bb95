import pytest

from app.auth.permissions import ROLES, Permission, Role
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture
from tests.builders.services import make_key, make_settings, run_service

MONITORING = "/api/v1/monitoring"


@pytest.fixture(scope="module")
def client(tiny_bundle, tmp_path_factory):
    """A service that has scored two scans, called by an administrator's key."""
    folder = tmp_path_factory.mktemp("service")
    with run_service(make_settings(folder, bundle=tiny_bundle)) as client:
        for seed, site in ((21_000, "north"), (21_001, "south")):
            picture = encode_picture(draw_scan(seed, has_lesion=True), "png")
            answer = client.post(
                "/api/v1/scans",
                params={"wait": 60},
                files={"file": ("x.png", picture)},
                data={"site": site, "patient_name": "CANARY", "patient_id": "CANARY"},
            )
            assert answer.status_code == 201, answer.text
        yield client


def test_the_live_bundle_is_compared_with_its_own_calibration(client, tiny_detector):
    view = client.get(MONITORING).json()

    calibration = tiny_detector.bundle.calibrations.slice
    scores = view["scores"][0]
    assert view["bundle"] == tiny_detector.digest
    assert view["cases"]["total"] == 2
    assert scores["calibration_count"] == len(calibration.scores)
    assert scores["promised_share"] == calibration.promise.rate
    assert scores["promise"] == calibration.promise.statement
    assert [bet["against"] for bet in view["martingales"]] == ["calibration", "stream"]


def test_a_site_is_looked_at_alone(client):
    assert client.get(MONITORING, params={"site": "north"}).json()["cases"]["total"] == 1


def test_no_patient_data_is_shown(client):
    client.get(MONITORING)

    assert "CANARY" not in client.get(MONITORING).text
    assert "CANARY" not in client.get("/metrics").text


@pytest.mark.parametrize(
    "query", [{"bundle": "x"}, {"site": ""}, {"received_from": "x"}, {"week": "1"}]
)
def test_a_filter_that_is_none_is_refused(client, query):
    assert client.get(MONITORING, params=query).status_code == 422


def test_a_bundle_that_nobody_knows_is_told(client):
    answer = client.get(MONITORING, params={"bundle": "0" * 64})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "bundle_not_registered")


@pytest.mark.parametrize(
    ("scopes", "status"),
    [(ROLES[Role.READER], 200), (ROLES[Role.SENDER], 403), ({Permission.READ_CASES}, 403)],
)
def test_readers_may_look(client, scopes, status):
    key = make_key(client.app, *scopes)

    assert client.get(MONITORING, headers=key).status_code == status


def test_prometheus_is_told_of_the_live_bundle(client):
    text = client.get("/metrics").text

    assert 'aegle_promised_share{kind="slice"}' in text
    assert 'aegle_martingale_log10{against="calibration"}' in text
    assert 'aegle_martingale_alarm{against="stream"} 0.0' in text


def test_prometheus_asks_the_database_once_in_a_while(client, monkeypatch):
    client.get("/metrics")

    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr("app.monitoring.desk.observe", refuse)

    assert "aegle_martingale_log10" in client.get("/metrics").text


def test_an_empty_service_answers(tmp_path):
    with run_service(make_settings(tmp_path)) as client:
        view = client.get(MONITORING).json()

        assert (view["bundle"], view["scores"]) == (None, [])
        assert client.get("/metrics").status_code == 200
