"""A DICOMweb server checked from outside: STOW-RS, QIDO-RS and WADO-RS, each demand one line.

Three small secondary captures of a made-up patient are stored, searched, retrieved and drawn. They
stay on the server: DICOMweb knows no deletion. What is asked for is what viewers and modalities
rely on (PS3.18 10.4 to 10.6); a demand names its section.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

import httpx2

from app.dicom.conformance_objects import Sample
from app.dicom.media import DICOM, DICOM_JSON, OCTETS, AnswerPart, name_multipart, write_multipart
from app.dicom.multipart_reading import read_parts

_BOUNDARY = "aegle-check-4f1c"
_REFERENCED, _REASON = "00081199", "00081197"
# Of what has UIDs, and of what has none (PS3.18 10.5.3.2).
_FAILURES = ("00081198", "0008119A")
_UNKNOWN = "2.25.1.2.3"
_SETTLE_S = 10.0
_PAUSE_S = 0.2


class Outcome(StrEnum):
    """What became of a demand."""

    MET = "met"
    MISSED = "missed"


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One demand: what it is, where the standard says so, what was found."""

    service: str
    section: str
    demand: str
    outcome: Outcome
    found: str


class _Missed(Exception):
    """A demand is not met; the message says what was found."""


_Check = Callable[["Checker"], str]


class Checker:
    """Checks one server with one sample."""

    def __init__(self, client: httpx2.Client, sample: Sample) -> None:
        self._client = client
        self._sample = sample

    def run(self) -> Iterator[CheckLine]:
        """Check every demand, one after the other."""
        for service, section, demand, check in DEMANDS:
            try:
                outcome, found = Outcome.MET, check(self)
            except _Missed as error:
                outcome, found = Outcome.MISSED, str(error)
            except (httpx2.HTTPError, ValueError, KeyError, IndexError, TypeError) as error:
                outcome, found = Outcome.MISSED, f"no answer that is understood ({_name(error)})"
            yield CheckLine(service, section, demand, outcome, found)

    # STOW-RS

    def store_all(self) -> str:
        """All of a message is stored, and the answer names each object."""
        answer = self._store(self._sample.files)
        told = _read_json(answer)
        stored = len(told.get(_REFERENCED, {}).get("Value", []))
        _demand(answer.status_code == 200, f"status {answer.status_code}")
        _demand(stored == len(self._sample.files), f"{stored} objects named as stored")
        return f"200, {stored} objects named"

    def store_again(self) -> str:
        """An object that is there already is no failure."""
        answer = self._store(self._sample.files[:1])
        _demand(answer.status_code in {200, 202}, f"status {answer.status_code}")
        return f"{answer.status_code}"

    def store_in_study(self) -> str:
        """An object of another study than the one addressed is not stored."""
        answer = self._store([self._sample.stranger], study_uid=self._sample.study_uid)
        return _expect_refusal(answer)

    def store_nothing(self) -> str:
        """A message without parts is no success."""
        body = f"--{_BOUNDARY}--\r\n".encode()
        return _expect_refusal(self._post(body, name_multipart(DICOM, _BOUNDARY)))

    def store_cut(self) -> str:
        """A message that ends inside of an object is no success."""
        parts = [AnswerPart(DICOM, "1", (self._sample.stranger,))]
        body = b"".join(write_multipart(parts, _BOUNDARY))
        return _expect_refusal(self._post(body[: len(body) // 2], name_multipart(DICOM, _BOUNDARY)))

    def store_beside_garbage(self) -> str:
        """Of a good part and a broken one, the good one is stored and the other has a reason."""
        answer = self._store([self._sample.files[0], b"no DICOM at all" * 20])
        told = _read_json(answer)
        failed = [item for tag in _FAILURES for item in told.get(tag, {}).get("Value", [])]
        _demand(answer.status_code == 202, f"status {answer.status_code}")
        _demand(bool(failed), "no part is named as failed")
        _demand(all(_REASON in item for item in failed), "a failure has no reason")
        return f"202, {len(failed)} failed with a reason"

    def store_other_type(self) -> str:
        """A body of a type that is not offered is 415."""
        answer = self._post(b"hello", "text/plain")
        _demand(answer.status_code == 415, f"status {answer.status_code}")
        return "415"

    # QIDO-RS

    def find_study(self) -> str:
        """A study is found by its UID, with what a worklist shows."""
        (study,) = self._await("/studies", {"StudyInstanceUID": self._sample.study_uid}, 1)
        missing = [tag for tag in ("00100020", "00080061", "00201208") if tag not in study]
        _demand(not missing, f"without {', '.join(missing)}")
        return "one study"

    def find_by_patient(self) -> str:
        """A study is found by the patient's id and by a name with a wildcard."""
        query = {"00100020": self._sample.patient_id, "PatientName": "AEGLE*"}
        found = self._search("/studies", query | {"limit": "50"})
        uids = {_first(study, "0020000D") for study in found}
        _demand(self._sample.study_uid in uids, f"{len(found)} studies, not this one")
        return "found by id and by AEGLE*"

    def find_page(self) -> str:
        """`limit` and `offset` give pages that do not overlap."""
        path = f"/studies/{self._sample.study_uid}/instances"
        pages = [self._search(path, {"limit": "1", "offset": str(n)}) for n in range(3)]
        uids = {_first(page[0], "00080018") for page in pages if page}
        _demand([len(page) for page in pages] == [1, 1, 1], f"{[len(page) for page in pages]}")
        _demand(uids == set(self._sample.sop_uids), "pages overlap")
        return "3 pages of one"

    def find_nothing(self) -> str:
        """A search without result is an empty list or 204."""
        answer = self._get("/studies", DICOM_JSON, {"StudyInstanceUID": _UNKNOWN})
        is_empty = answer.status_code == 204 or (answer.is_success and answer.json() == [])
        _demand(is_empty, f"status {answer.status_code}")
        return f"{answer.status_code}"

    def find_series(self) -> str:
        """Series of a study tell their modality and number of instances."""
        (series,) = self._search(f"/studies/{self._sample.study_uid}/series", {})
        count = int(_first(series, "00201209"))
        _demand(_first(series, "00080060") == "OT", "no modality")
        _demand(count == len(self._sample.files), f"{count} instances counted")
        return f"one series of {count}"

    def find_instances(self) -> str:
        """Instances of a series are listed, with a field that is asked for."""
        path = f"/studies/{self._sample.study_uid}/series/{self._sample.series_uid}/instances"
        found = self._search(path, {"includefield": "00280010"})
        uids = {_first(each, "00080018") for each in found}
        _demand(uids == set(self._sample.sop_uids), f"{len(found)} instances")
        _demand(all("00280010" in each for each in found), "without Rows")
        return f"{len(found)} instances with Rows"

    # WADO-RS

    def read_metadata(self) -> str:
        """Metadata of a series hold every header and no pixels."""
        path = f"{self._series_path()}/metadata"
        answer = self._get(path, DICOM_JSON)
        kind = answer.headers.get("content-type", "")
        found: list[dict[str, Any]] = answer.json()
        _demand(kind.startswith(DICOM_JSON), f"content type {kind}")
        _demand(len(found) == len(self._sample.files), f"{len(found)} headers")
        has_pixels = any("InlineBinary" in each.get("7FE00010", {}) for each in found)
        _demand(not has_pixels, "pixels are inside")
        return f"{len(found)} headers"

    def retrieve_instance(self) -> str:
        """An instance comes back as it was stored."""
        answer = self._get(self._instance_path(), f'multipart/related; type="{DICOM}"')
        (part,) = read_parts(answer.headers.get("content-type", ""), answer.content)
        _demand(self._sample.is_same(part.content), "another object, or changed")
        return f"{len(part.content)} bytes"

    def retrieve_series(self) -> str:
        """A series comes back whole."""
        answer = self._get(self._series_path(), f'multipart/related; type="{DICOM}"')
        parts = read_parts(answer.headers.get("content-type", ""), answer.content)
        _demand(len(parts) == len(self._sample.files), f"{len(parts)} parts")
        return f"{len(parts)} parts"

    def retrieve_frame(self) -> str:
        """A frame comes back as its pixels, in any transfer syntax that is taken."""
        accept = f'multipart/related; type="{OCTETS}"; transfer-syntax=*'
        answer = self._get(f"{self._instance_path()}/frames/1", accept)
        (part,) = read_parts(answer.headers.get("content-type", ""), answer.content)
        _demand(part.content.rstrip(b"\0") == self._sample.pixels.rstrip(b"\0"), "other pixels")
        return f"{len(part.content)} bytes"

    def render(self) -> str:
        """An instance is drawn as a JPEG."""
        answer = self._get(f"{self._instance_path()}/rendered", "image/jpeg")
        _demand(answer.content.startswith(b"\xff\xd8"), f"status {answer.status_code}, no JPEG")
        return f"JPEG of {len(answer.content)} bytes"

    def retrieve_unknown(self) -> str:
        """What is not there is 404."""
        path = f"/studies/{_UNKNOWN}/series/{_UNKNOWN}/instances/{_UNKNOWN}"
        answer = self._get(path, f'multipart/related; type="{DICOM}"')
        _demand(answer.status_code == 404, f"status {answer.status_code}")
        return "404"

    def retrieve_unacceptable(self) -> str:
        """A type that cannot be given is 406 (or 400)."""
        answer = self._get(self._instance_path(), "text/x-nothing")
        _demand(answer.status_code in {400, 406}, f"status {answer.status_code}")
        return f"{answer.status_code}"

    def _store(self, files: Sequence[bytes], study_uid: str | None = None) -> httpx2.Response:
        parts = [AnswerPart(DICOM, str(number), (file,)) for number, file in enumerate(files)]
        body = b"".join(write_multipart(parts, _BOUNDARY))
        return self._post(body, name_multipart(DICOM, _BOUNDARY), study_uid)

    def _post(self, body: bytes, kind: str, study_uid: str | None = None) -> httpx2.Response:
        path = f"/studies/{study_uid}" if study_uid else "/studies"
        headers = {"Content-Type": kind, "Accept": DICOM_JSON}
        return self._client.post(path.lstrip("/"), content=body, headers=headers)

    def _get(self, path: str, accept: str, query: dict[str, str] | None = None) -> httpx2.Response:
        # As browsers write it: a star stays a star.
        text = urlencode(query or {}, safe="*,")
        address = f"{path.lstrip('/')}?{text}" if text else path.lstrip("/")
        return self._client.get(address, headers={"Accept": accept})

    def _search(self, path: str, query: dict[str, str]) -> list[dict[str, Any]]:
        answer = self._get(path, DICOM_JSON, query)
        _demand(answer.is_success, f"status {answer.status_code}")
        found: list[dict[str, Any]] = answer.json() if answer.content else []
        return found

    def _await(self, path: str, query: dict[str, str], count: int) -> list[dict[str, Any]]:
        """Search until something is found: some servers index a moment later."""
        deadline = time.monotonic() + _SETTLE_S
        while len(found := self._search(path, query)) != count:
            _demand(time.monotonic() < deadline, f"{len(found)} found")
            time.sleep(_PAUSE_S)
        return found

    def _series_path(self) -> str:
        return f"/studies/{self._sample.study_uid}/series/{self._sample.series_uid}"

    def _instance_path(self) -> str:
        return f"{self._series_path()}/instances/{self._sample.sop_uids[0]}"


DEMANDS: tuple[tuple[str, str, str, _Check], ...] = (
    ("STOW-RS", "10.5.3", "a message is stored, each object named", Checker.store_all),
    ("STOW-RS", "10.5.3", "an object may come again", Checker.store_again),
    ("STOW-RS", "10.5.1", "another study than addressed: refused", Checker.store_in_study),
    ("STOW-RS", "10.5.3", "no parts: no success", Checker.store_nothing),
    ("STOW-RS", "10.5.3", "cut body: no success", Checker.store_cut),
    ("STOW-RS", "10.5.3", "garbage beside a good part: 202 with reason",
     Checker.store_beside_garbage),
    ("STOW-RS", "10.5.3", "unknown type: 415", Checker.store_other_type),
    ("QIDO-RS", "10.6.3", "study by UID, with its summary", Checker.find_study),
    ("QIDO-RS", "8.3.4.1", "study by patient, with wildcard", Checker.find_by_patient),
    ("QIDO-RS", "8.3.4.4", "pages by limit and offset", Checker.find_page),
    ("QIDO-RS", "10.6.3", "nothing found", Checker.find_nothing),
    ("QIDO-RS", "10.6.3", "series with modality and count", Checker.find_series),
    ("QIDO-RS", "8.3.4.3", "instances with includefield", Checker.find_instances),
    ("WADO-RS", "10.4.1.1.2", "metadata without pixels", Checker.read_metadata),
    ("WADO-RS", "10.4.1.1.1", "instance as stored", Checker.retrieve_instance),
    ("WADO-RS", "10.4.1.1.1", "series whole", Checker.retrieve_series),
    ("WADO-RS", "10.4.1.1.6", "frame as its pixels", Checker.retrieve_frame),
    ("WADO-RS", "10.4.1.1.3", "instance drawn", Checker.render),
    ("WADO-RS", "10.4.3", "unknown: 404", Checker.retrieve_unknown),
    ("WADO-RS", "8.7.8", "unacceptable type refused", Checker.retrieve_unacceptable),
)  # fmt: skip


def _demand(holds: bool, found: str) -> None:
    if not holds:
        raise _Missed(found)


def _expect_refusal(answer: httpx2.Response) -> str:
    """Give the status of an answer that stores nothing and says so."""
    named = _read_json(answer).get(_REFERENCED, {}).get("Value", [])
    _demand(not named, "an object is named as stored")
    _demand(answer.status_code >= 400, f"status {answer.status_code} with nothing stored")
    return f"{answer.status_code}"


def _read_json(answer: httpx2.Response) -> dict[str, Any]:
    try:
        told = json.loads(answer.content)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _first(told: dict[str, Any], tag: str) -> Any:  # noqa: ANN401 - any JSON
    return told[tag]["Value"][0]


def _name(error: Exception) -> str:
    return type(error).__name__
