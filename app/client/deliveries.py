"""What came of parcels, told: a line or a JSON object each, and counts."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from app.cases.schemas import CaseDetail
from app.cases.states import CaseState
from app.client.errors import make_printable
from app.client.push import Delivery
from models.errors import AegleError

ACCEPTED = "accepted"
REFUSED = "refused"
KNOWN = "known"
KEPT = "kept"
_SHOWN = ("anomalous", "indeterminate", "typical", ACCEPTED, KEPT, REFUSED, KNOWN)


class Tally:
    """How many cases got which verdict, how many scans were refused or known before."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, delivery: Delivery) -> None:
        """Count one parcel."""
        if delivery.receipt is None:
            self.counts[REFUSED] += 1
            return
        self.counts[KNOWN] += delivery.receipt.is_known
        self.counts.update(choose_word(case) for case in delivery.receipt.cases)
        self.counts[KEPT] += not delivery.receipt.cases

    def __str__(self) -> str:
        shown = [f"{word} {self.counts[word]}" for word in _SHOWN if self.counts[word]]
        return "  ".join(shown)


def write_lines(delivery: Delivery) -> Iterator[str]:
    """Give a line for each case of a parcel: verdict and numbers, or the reason."""
    label = delivery.parcel.label
    if delivery.receipt is None:
        code, text = _name_error(delivery.error)
        yield make_printable(f"{label}  {REFUSED}  {code}: {text}")
        return
    cases = delivery.receipt.cases
    if not cases:
        yield make_printable(f"{label}  {KEPT}  no scan: nothing to score")
    for case in cases:
        inside = case.files[0].label if len(cases) > 1 and case.files else None
        name = f"{label}:{inside}" if inside else label
        parts = [name, choose_word(case), *_list_numbers(case), f"case {case.id}"]
        known = [KNOWN] if delivery.receipt.is_known else []
        yield make_printable("  ".join([*parts, *known]))


def write_object(delivery: Delivery) -> dict[str, Any]:
    """Give the fields of a line of `aegle push --json`; nothing in it is of a patient."""
    if delivery.receipt is None:
        code, text = _name_error(delivery.error)
        return {"path": delivery.parcel.label, "error": {"code": code, "text": text}}
    receipt = delivery.receipt
    return {
        "path": delivery.parcel.label,
        "files": [str(path) for path in delivery.parcel.files],
        "upload": str(receipt.upload_id),
        "sha256": receipt.sha256,
        "is_known": receipt.is_known,
        "cases": [_write_case(case) for case in receipt.cases],
    }


def choose_word(case: CaseDetail) -> str:
    """Give the verdict of a case, or that it waits for one, or will never have one."""
    if case.state is CaseState.QUARANTINED:
        return REFUSED
    return case.verdict or ACCEPTED


def _list_numbers(case: CaseDetail) -> list[str]:
    if case.state is CaseState.QUARANTINED:
        return [f"{case.failure_code}: the service cannot score it"]
    numbers = []
    if case.score is not None:
        numbers.append(f"score {case.score:.3f}")
    if case.p_value is not None:
        numbers.append(f"p {case.p_value:.4f}")
    if case.finding is not None:
        numbers.append(f"regions {len(case.finding.regions)}")
        numbers += [case.finding.reason] if case.finding.reason else []
    return numbers


def _write_case(case: CaseDetail) -> dict[str, Any]:
    finding = case.finding
    return {
        "case": str(case.id),
        "state": case.state.value,
        "failure_code": case.failure_code,
        "verdict": case.verdict,
        "score": case.score,
        "p_value": case.p_value,
        "threshold": finding.threshold if finding else None,
        "reason": finding.reason if finding else None,
        "regions": [region.model_dump(mode="json") for region in finding.regions]
        if finding
        else [],
        "bundle": case.bundle_digest,
        "files": [file.sha256 for file in case.files],
    }


def _name_error(error: AegleError | OSError | None) -> tuple[str, str]:
    if isinstance(error, OSError):
        return "unreadable", error.strerror or type(error).__name__
    return (error.code, str(error)) if error else ("", "")
