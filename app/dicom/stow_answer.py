"""The answer to a STOW message: a Store Instances Response in DICOM JSON (PS3.18 I.2.2)."""

from collections.abc import Sequence
from typing import Any

from app.dicom.receipts import NOT_NOW, OUT_OF_ROOM, ObjectReceipt

Json = dict[str, Any]

RETRY_S = 5
COERCED = 0xB000  # data elements were changed: it is kept without its patient
_CLASS = "00081150"
_INSTANCE = "00081155"
_REFERENCED = "00081199"
_FAILED = "00081198"
_OTHER_FAILED = "0008119A"
_REASON = "00081197"
_RETRIEVE_URL = "00081190"
_WARNING = "00081196"
_COMMENT = "00000902"
_COMMENT_CHARACTERS = 64


def choose_status(receipts: Sequence[ObjectReceipt]) -> int:
    """Give the status: 200 all kept, 202 some, else what kept all of them out."""
    kept = sum(receipt.is_kept for receipt in receipts)
    if kept:
        return 200 if kept == len(receipts) else 202
    reasons = {receipt.failure.reason for receipt in receipts if receipt.failure}
    if reasons == {OUT_OF_ROOM}:
        return 507
    return 503 if reasons == {NOT_NOW} else 409


def build_answer(receipts: Sequence[ObjectReceipt], root_url: str) -> Json:
    """Tell of every object; those that could not be identified are told of without UIDs."""
    answer: Json = {}
    studies = {receipt.study_uid for receipt in receipts if receipt.is_kept}
    if len(studies) == 1 and not any(receipt.is_renamed for receipt in receipts):
        answer[_RETRIEVE_URL] = _value("UR", f"{root_url}/studies/{studies.pop()}")
    kept = [_describe_kept(receipt, root_url) for receipt in receipts if receipt.is_kept]
    failed = [_describe_failed(receipt) for receipt in receipts if _is_named(receipt)]
    other = [
        _describe_reason(receipt)
        for receipt in receipts
        if not receipt.is_kept and not _is_named(receipt)
    ]
    for tag, items in ((_FAILED, failed), (_REFERENCED, kept), (_OTHER_FAILED, other)):
        if items:
            answer[tag] = {"vr": "SQ", "Value": items}
    return answer


def _is_named(receipt: ObjectReceipt) -> bool:
    is_known = receipt.sop_class_uid is not None and receipt.sop_uid is not None
    return not receipt.is_kept and is_known


def _describe_kept(receipt: ObjectReceipt, root_url: str) -> Json:
    if receipt.is_renamed:
        return _name(receipt) | {_WARNING: _value("US", COERCED)}
    place = f"{root_url}/studies/{receipt.study_uid}/series/{receipt.series_uid}"
    return _name(receipt) | {
        _RETRIEVE_URL: _value("UR", f"{place}/instances/{receipt.sop_uid}"),
    }


def _describe_failed(receipt: ObjectReceipt) -> Json:
    return _name(receipt) | _describe_reason(receipt)


def _describe_reason(receipt: ObjectReceipt) -> Json:
    if receipt.failure is None:
        return {}
    comment = f"{receipt.failure.code}: {receipt.failure.message}"[:_COMMENT_CHARACTERS]
    return {_COMMENT: _value("LO", comment), _REASON: _value("US", receipt.failure.reason)}


def _name(receipt: ObjectReceipt) -> Json:
    return {
        _CLASS: _value("UI", receipt.sop_class_uid),
        _INSTANCE: _value("UI", receipt.sop_uid),
    }


def _value(vr: str, value: str | int | None) -> Json:
    return {"vr": vr, "Value": [value]}
