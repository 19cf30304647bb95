"""Hostile STOW messages sent to us and to Orthanc: what each answers, beside each other."""

from dataclasses import dataclass

import httpx2
import pytest
from rich.console import Console
from rich.table import Table

from tests.builders.hostile_stow import HOSTILE
from tests.builders.orthanc import find_orthanc, run_orthanc
from tests.builders.processes import ServiceProcess
from tests.builders.stow import make_uid

pytestmark = pytest.mark.slow

_REFERENCED, _REASON = "00081199", "00081197"
_FAILURES = ("00081198", "0008119A")


@dataclass(frozen=True)
class Answer:
    """What a server said of a message, and how many objects of the study it holds afterwards."""

    status: int
    told: int
    reasons: tuple[str, ...]
    stored: int

    @property
    def is_false(self) -> bool:
        """It says 200 where nothing, or less than it tells, was stored."""
        return self.status == 200 and (not self.stored or self.told > self.stored)

    def __str__(self) -> str:
        reasons = f", {' '.join(self.reasons)}" if self.reasons else ""
        return f"{self.status}, {self.told} told, {self.stored} stored{reasons}"


def send_all(client, root):
    """Send every hostile message, each to a study of its own."""
    return {hostile.name: send(client, root, hostile) for hostile in HOSTILE}


def send(client, root, hostile):
    study = make_uid()
    headers = {"Content-Type": hostile.content_type, "Accept": "application/dicom+json"}
    try:
        answer = client.post(
            f"{root}/studies/{study}", content=hostile.build(study), headers=headers
        )
    except httpx2.TransportError:
        return Answer(0, 0, ("no answer",), 0)
    told = read_json(answer)
    found = client.get(f"{root}/studies/{study}/instances")
    return Answer(
        status=answer.status_code,
        told=len(told.get(_REFERENCED, {}).get("Value", [])),
        reasons=tuple(
            f"{item[_REASON]['Value'][0]:04X}"
            for tag in _FAILURES
            for item in told.get(tag, {}).get("Value", [])
            if _REASON in item
        ),
        stored=len(found.json()) if found.status_code == 200 else 0,
    )


def read_json(answer):
    try:
        told = answer.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def draw(ours, theirs):
    table = Table("message", "Aegle", "Orthanc", title=f"{len(ours)} hostile STOW messages")
    for name, answer in ours.items():
        other = theirs.get(name)
        mark = "[red]" if other and other.is_false else ""
        table.add_row(name, str(answer), f"{mark}{other}" if other else "not installed")
    false = [sum(each.is_false for each in told.values()) for told in (ours, theirs)]
    table.add_row("false 200s", *(str(count) for count in false))
    return table


@pytest.fixture
def ours(tmp_path):
    (tmp_path / "service").mkdir()
    with ServiceProcess(tmp_path / "service", None) as service:
        service.await_ready("/healthz")
        with service.open_client() as client:
            return send_all(client, "/dicom-web")


@pytest.fixture
def theirs(tmp_path):
    if find_orthanc() is None:
        return {}
    with (
        run_orthanc(tmp_path / "orthanc") as orthanc,
        httpx2.Client(
            trust_env=False, timeout=30.0, limits=httpx2.Limits(max_keepalive_connections=0)
        ) as client,
    ):
        return send_all(client, orthanc.url)


def test_no_hostile_message_is_answered_as_stored_beside_orthanc(ours, theirs, capsys):
    with capsys.disabled():
        Console(width=140).print("\n", draw(ours, theirs))

    assert [name for name, answer in ours.items() if answer.is_false] == []
    expected = {each.name: (each.status, len(each.reasons), each.kept) for each in HOSTILE}
    told = {name: (each.status, len(each.reasons), each.stored) for name, each in ours.items()}
    assert told == expected
