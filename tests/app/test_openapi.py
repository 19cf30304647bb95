import pytest

from app.auth.access import list_open_routes
from app.main import create_app
from tests.builders.services import make_settings

PUBLIC = {"/healthz", "/readyz", "/api/v1/setup", "/api/v1/session", "/api/v1/login"}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service that was never started."""
    service = create_app(make_settings(tmp_path_factory.mktemp("service")))
    yield service
    service.state.storage.close()


@pytest.fixture(scope="module")
def operations(service):
    """Every operation of the OpenAPI document, by method and path."""
    return {
        (method, path): operation
        for path, item in service.openapi()["paths"].items()
        for method, operation in item.items()
    }


def test_every_route_needs_a_permission_or_is_marked_public(service):
    assert list_open_routes(service) == []


def test_every_operation_says_what_it_does(operations):
    silent = [key for key, operation in operations.items() if not operation.get("description")]

    assert silent == []


def test_every_answer_and_every_error_has_a_type(operations):
    untyped = [
        (key, status)
        for key, operation in operations.items()
        for status, answer in operation["responses"].items()
        if status not in {"204", "303"} and not answer.get("content")
    ]

    assert untyped == []


def test_every_guarded_operation_tells_its_refusals(operations):
    quiet = [
        key
        for key, operation in operations.items()
        if operation.get("security") and not {"401", "403", "429"} <= operation["responses"].keys()
    ]

    assert quiet == []


def test_errors_have_one_shape(operations):
    shapes = {
        answer["content"]["application/json"]["schema"].get("$ref")
        for operation in operations.values()
        for status, answer in operation["responses"].items()
        if int(status) >= 400 and "application/json" in answer.get("content", {})
    }

    allowed = {"#/components/schemas/ErrorBody", "#/components/schemas/Readiness"}
    assert shapes <= allowed


def test_what_is_taken_and_given_has_examples(service):
    schemas = service.openapi()["components"]["schemas"]
    wanted = ("Receipt", "CaseView", "FindingView", "NewReviewBody", "BundleView", "ErrorDetail")

    bare = [
        name
        for name in wanted
        if not any("examples" in field for field in schemas[name]["properties"].values())
    ]

    assert bare == []


def test_errors_are_json_whatever_a_route_answers_else(operations):
    other = [
        (key, status)
        for key, operation in operations.items()
        for status, answer in operation["responses"].items()
        for kind, media in answer.get("content", {}).items()
        if "ErrorBody" in str(media) and kind != "application/json"
    ]

    assert other == []
