"""The row that draws many requests from the OpenAPI document."""

from tests.builders.api_fuzz import ApiFuzz, FuzzTally
from tests.builders.services import make_settings, run_service
from tests.stress.verdict import Order, Outcome

PER_MINUTE = 10_000_000


def draw_requests(order: Order) -> Outcome:
    """Send as many requests to every operation as there are rounds."""
    tally = FuzzTally()
    rates = {"key_rate_per_minute": PER_MINUTE, "login_rate_per_minute": PER_MINUTE}
    settings = make_settings(order.folder, bundle=order.bundle, max_wait_s=2, **rates)
    with run_service(settings) as client:
        fuzz = ApiFuzz(client)
        operations = fuzz.list_operations()
        for operation in operations:
            fuzz.try_operation(operation, order.rounds, tally)
            order.advance()
    errors = sum(count for status, count in tally.statuses.items() if status >= 500)
    faults = [f"{what}: {why}" for what, why in tally.faults.items()]
    return Outcome(
        f"requests drawn ({len(operations)} operations)",
        order.rounds,
        acknowledged=tally.request_count,
        found=tally.request_count,
        lost=errors,
        faults=faults,
    )
