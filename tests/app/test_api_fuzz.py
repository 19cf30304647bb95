"""No request, right or wrong, gets a server error or an answer that the document does not tell."""

import pytest

from tests.builders.api_fuzz import ApiFuzz, FuzzTally
from tests.builders.services import make_settings, run_service

EXAMPLES = 8
PER_MINUTE = 1_000_000


@pytest.fixture(scope="module")
def fuzz(tiny_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    rates = {"key_rate_per_minute": PER_MINUTE, "login_rate_per_minute": PER_MINUTE}
    with run_service(make_settings(folder, bundle=tiny_bundle, max_wait_s=2, **rates)) as client:
        yield ApiFuzz(client)


@pytest.mark.slow
def test_every_answer_to_drawn_requests_is_told_by_the_document(fuzz):
    tally = FuzzTally()

    for operation in fuzz.list_operations():
        fuzz.try_operation(operation, EXAMPLES, tally)

    assert not tally.faults, "\n".join(f"{k}\n  {v}" for k, v in tally.faults.items())
    assert {200, 201, 204, 401, 403, 404, 422} <= tally.statuses.keys()
