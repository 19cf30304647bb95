import json

import httpx2
import pytest
from rich.console import Console

from app.client.deliveries import REFUSED
from app.client.push import PushOrder
from app.client.push_command import push_paths
from app.errors import NotAuthenticated, StorageFull
from app.intake.schemas import UploadFields
from tests.builders.clients import connect, fake, refuse
from tests.builders.pictures import build_zip, encode_picture
from tests.builders.scans import write_dicom_series

ORDER = PushOrder(connections=2, waits=True)


@pytest.fixture
def folder(tmp_path, picture, planes):
    """Two pictures, a series, a zip of two pictures, and a file that is broken."""
    folder = tmp_path / "scans"
    write_dicom_series(folder / "series", planes)
    (folder / "a.png").write_bytes(picture)
    (folder / "broken.png").write_bytes(picture[:100])
    entries = {f"{n}.png": encode_picture(plane + 1, "png") for n, plane in enumerate(planes[:2])}
    (folder / "z.zip").write_bytes(build_zip(entries))
    return folder


def push(client, folder, order=ORDER, as_json=False):
    journal = folder.parent / "journal"
    return push_paths(client, [folder], journal, order, Console(stderr=True), as_json=as_json)


def count_cases(service):
    return len(service.get("/api/v1/cases", params={"limit": 200}).json()["items"])


def test_a_broken_file_is_told_and_stops_no_other(service, client, folder, capsys):
    before = count_cases(service)

    bar = push(client, folder)

    lines = capsys.readouterr().out.splitlines()
    assert count_cases(service) - before == 4
    assert len(lines) == 5
    assert [line for line in lines if "broken.png  refused  corrupt_scan" in line]
    assert [line for line in lines if "(+2 slices)  " in line and "score" in line]
    assert sum("z.zip:" in line for line in lines) == 2
    assert bar.tally.counts[REFUSED] == 1


def test_a_second_push_sends_nothing_and_tells_the_same_verdicts(client, folder, capsys):
    push(client, folder, as_json=True)
    first = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    again = push(client, folder, as_json=True)
    second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    def gather(objects):
        return {one["path"]: [case["verdict"] for case in one.get("cases", [])] for one in objects}

    assert gather(first) == gather(second)
    assert "(3 were sent before)" in str(again)


def test_a_push_without_its_journal_makes_no_case_twice(service, client, folder):
    push(client, folder)
    before = count_cases(service)
    (folder.parent / "journal").unlink()

    bar = push(client, folder)

    assert count_cases(service) == before
    assert bar.tally.counts["known"] == 3


def test_what_the_service_lost_is_sent_again(client, folder):
    push(client, folder)
    (folder.parent / "journal").write_text(
        (folder.parent / "journal").read_text().replace('"upload": "0', '"upload": "f')
    )

    bar = push(client, folder)

    assert "were sent before" not in str(bar)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refuse(507, "storage_full"), StorageFull),
        (refuse(401, "not_authenticated"), NotAuthenticated),
    ],
)
def test_what_every_scan_would_meet_ends_the_push(folder, answer, kind):
    asked = []

    def refuse_all(request):
        asked.append(request)
        request.read()
        return answer

    with fake(refuse_all) as client, pytest.raises(kind):
        push(client, folder)

    assert len(asked) <= ORDER.connections


def test_a_bug_met_by_one_scan_is_told_of_that_scan(folder, capsys):
    with fake(lambda request: request.read() and refuse(500, "service_error")) as client:
        bar = push(client, folder)

    assert bar.tally.counts[REFUSED] == 4
    assert capsys.readouterr().out.count("service_error") == 4


def test_a_broken_connection_is_mended(service, folder):
    breaks = iter(range(10))

    class Flaky(httpx2.BaseTransport):
        def handle_request(self, request):
            if next(breaks, 9) < 3:
                raise httpx2.ReadError("reset")
            return service._transport.handle_request(request)

    with connect(service) as client:
        client._exchange.http._transport = Flaky()
        bar = push(client, folder)

    assert bar.tally.counts[REFUSED] == 1


def test_a_push_that_does_not_wait_tells_what_was_accepted(client, folder, capsys):
    push(client, folder, PushOrder(connections=1, waits=False))

    assert all(
        "case " in line or "refused" in line for line in capsys.readouterr().out.splitlines()
    )


def test_files_that_are_no_scan_are_counted_and_named(client, folder, capsys):
    notes = folder / "notes.txt"
    notes.write_text("text")

    push(client, folder, as_json=True)

    told = capsys.readouterr()
    last = json.loads(told.out.splitlines()[-1])
    assert last == {"passed_over": {"count": 1, "paths": [str(notes)]}}
    assert "1 file was passed over as no scan" in told.err


def test_nothing_of_a_patient_is_told(client, picture, tmp_path, capsys):
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "a.png").write_bytes(picture)
    order = PushOrder(1, waits=True, fields=UploadFields(patient_name="DOE^JANE", site="North"))

    push(client, folder, order, as_json=True)

    assert "DOE" not in capsys.readouterr().out
