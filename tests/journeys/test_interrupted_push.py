"""A push is killed, or its service is: nothing is sent twice, nothing is lost."""

import json
import signal
import subprocess
import time

import pytest

from tests.builders.command_line import make_command, make_environment
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture
from tests.builders.processes import ServiceProcess

SCANS = 60
ACKNOWLEDGED = 8
PATIENCE_S = 120.0


@pytest.fixture
def scans(tmp_path):
    """A folder of pictures."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for seed in range(SCANS):
        picture = encode_picture(draw_scan(90_000 + seed, has_lesion=seed % 2 == 0), "png")
        (folder / f"{seed:03}.png").write_bytes(picture)
    return folder


@pytest.fixture(autouse=True)
def _interruptible():
    """Let children meet interrupts, though a shell's background job is deaf to them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start_push(service, scans, *options):
    """Start `aegle push` with the service's key."""
    address = f"http://127.0.0.1:{service.port}"
    words = make_command(
        "push", scans, "--url", address, "--wait", "--json", "--connections", 2,
        "--journal", scans.parent / "journal", *options,
    )  # fmt: skip
    return subprocess.Popen(
        words,
        env=make_environment() | {"AEGLE_API_KEY": service.key},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def await_acknowledged(scans, count):
    """Wait until the journal holds so many uploads."""
    journal = scans.parent / "journal"
    deadline = time.monotonic() + PATIENCE_S
    while not journal.is_file() or journal.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline, "nothing was acknowledged"
        time.sleep(0.01)
    return journal.read_bytes().count(b"\n")


def count_cases(service):
    with service.open_client() as client:
        return len(client.get("/api/v1/cases", params={"limit": 200}).json()["items"])


@pytest.mark.slow
def test_a_push_that_was_interrupted_then_killed_sends_only_the_rest(tiny_bundle, tmp_path, scans):
    with ServiceProcess(tmp_path / "data", tiny_bundle) as service:
        service.await_ready()
        interrupted = start_push(service, scans)
        await_acknowledged(scans, 1)
        interrupted.send_signal(signal.SIGINT)
        _, told_first = interrupted.communicate(timeout=PATIENCE_S)
        killed = start_push(service, scans)
        await_acknowledged(scans, await_acknowledged(scans, 1) + ACKNOWLEDGED)
        killed.kill()
        killed.communicate()
        acknowledged = await_acknowledged(scans, 1)
        last = start_push(service, scans)
        output, told = last.communicate(timeout=PATIENCE_S)
        cases = count_cases(service)

    objects = [json.loads(line) for line in output.splitlines()]
    assert interrupted.returncode == 130
    assert "the same command again sends the rest" in told_first
    assert last.returncode == 0, told
    assert acknowledged < SCANS
    assert f"({acknowledged} were sent before)" in told
    assert len({one["path"] for one in objects}) == cases == SCANS


@pytest.mark.slow
def test_a_push_outlives_a_service_that_is_killed_and_started_again(tiny_bundle, tmp_path, scans):
    with ServiceProcess(tmp_path / "data", tiny_bundle) as service:
        service.await_ready()
        push = start_push(service, scans)
        await_acknowledged(scans, ACKNOWLEDGED)
        service.kill()
        service.start()
        output, told = push.communicate(timeout=PATIENCE_S)
        service.await_ready()
        cases = count_cases(service)

    verdicts = [json.loads(line)["cases"][0]["verdict"] for line in output.splitlines()]
    assert push.returncode == 0, told
    assert len(verdicts) == cases == SCANS
    assert None not in verdicts
