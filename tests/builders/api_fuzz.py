"""Requests drawn from the service's own OpenAPI document, right and wrong ones, by every role."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.auth.permissions import ROLES, Permission, Role
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture
from tests.builders.services import make_key

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_SENT = {"method", "url", "params", "json", "data", "files"}


@schemathesis.serializer(
    "application/zip", "text/html", "application/dicom", "image/png", "image/jpeg"
)
def _keep_bytes(context: object, value: object) -> bytes:  # noqa: ARG001 - schemathesis' signature
    return value if isinstance(value, bytes) else str(value).encode(errors="surrogatepass")


@dataclass
class FuzzTally:
    """How many requests were answered, with which status, and what was wrong with answers."""

    statuses: dict[int, int] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def request_count(self) -> int:
        """How many requests were answered."""
        return sum(self.statuses.values())


class ApiFuzz:
    """Draws requests for a running service and looks at what it answers."""

    def __init__(self, client: TestClient) -> None:
        self._client = client
        self._schema = schemathesis.openapi.from_dict(client.app.openapi())
        self._known = _prepare(client)
        keys = [make_key(client.app, *ROLES[role]) for role in Role]
        self._keys: Sequence[Mapping[str, str]] = [*keys, *keys[-1:], {"Authorization": ""}]

    def list_operations(self) -> list[APIOperation]:
        """List every operation of the document."""
        return [found.ok() for found in self._schema.get_all_operations()]

    def try_operation(self, operation: APIOperation, examples: int, tally: FuzzTally) -> None:
        """Send so many requests to one operation; half of them break its schema where they can."""

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(
            case=_draw_cases(operation),
            key=st.sampled_from(self._keys),
            is_known=st.booleans(),
        )
        def send(case: Case, key: Mapping[str, str], is_known: bool) -> None:
            if is_known:
                self._name_known(case)
            self._send(case, key, tally)

        send()

    def _name_known(self, case: Case) -> None:
        """Put what exists in the place of drawn identifiers, or nothing would be found."""
        for name in case.path_parameters or {}:
            if name in self._known:
                case.path_parameters[name] = self._known[name]

    def _send(self, case: Case, key: Mapping[str, str], tally: FuzzTally) -> None:
        drawn = case.as_transport_kwargs(base_url=str(self._client.base_url))
        sent = {name: value for name, value in drawn.items() if name in _SENT}
        if isinstance(sent.get("data"), bytes | str):
            sent["content"] = sent.pop("data")
        headers = {name: value for name, value in (drawn.get("headers") or {}).items() if value}
        request = self._client.build_request(headers=_clean(headers) | dict(key), **sent)
        request.read()  # the checks look at what was sent
        answer = self._client.send(request)
        tally.statuses[answer.status_code] = tally.statuses.get(answer.status_code, 0) + 1
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                _note(tally, case, answer.status_code, failure)
        except Failure as failure:
            _note(tally, case, answer.status_code, failure)


def _draw_cases(operation: APIOperation) -> st.SearchStrategy[Case]:
    right = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    # Where nothing can be wrong, hypothesis would find no wrong example.
    has_input = bool(operation.body or operation.query or operation.path_parameters)
    return right | wrong if has_input else right


def _clean(headers: Mapping[str, str]) -> dict[str, str]:
    """Leave out credentials and lengths: those are ours to set."""
    ours = {"authorization", "cookie", "content-length", "user-agent", "x-schemathesis-testcaseid"}
    return {name: value for name, value in headers.items() if name.lower() not in ours}


def _note(tally: FuzzTally, case: Case, status: int, failure: BaseException) -> None:
    what = f"{case.operation.label}: {status} {type(failure).__name__}"
    tally.faults.setdefault(what, f"{failure}; {case.as_curl_command()}"[:2000])


def _prepare(client: TestClient) -> dict[str, Any]:
    """Make one of each thing that an address names, and give their identifiers."""
    picture = encode_picture(draw_scan(77, has_lesion=True), "png")
    receipt = client.post("/api/v1/scans", params={"wait": 60}, content=picture).json()
    case = receipt["cases"][0]["id"]
    review = client.post(f"/api/v1/cases/{case}/reviews", json={"decision": "confirmed"}).json()
    spare = make_key(client.app, Permission.SEND_SCANS, name="spare")
    own = client.get("/api/v1/session", headers=spare).json()["id"]
    return {
        "upload_id": receipt["upload_id"],
        "case_id": case,
        "review_id": review.get("id", case),
        "digest": client.get("/api/v1/bundles").json()["items"][0]["digest"],
        "key_id": own.removeprefix("key:"),
    }
