"""The assorted files and the MR series by every way in: one fate, whichever way; nothing lost."""

import os
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from tests.builders.services import make_settings, run_service
from tests.builders.ways import (
    UNSENDABLE,
    send_by_rest,
    send_by_store,
    send_by_stow,
    send_by_zip,
)

DATA = os.environ.get("AEGLE_REAL_DATA")
WAYS = {
    "STOW": send_by_stow,
    "C-STORE": send_by_store,
    "REST": send_by_rest,
    "REST, zip": send_by_zip,
}

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(DATA is None, reason="AEGLE_REAL_DATA names no folder"),
    pytest.mark.filterwarnings("ignore"),
]


def list_folders():
    """Give the files of each folder: one zip each."""
    root = Path(DATA) / "dicom"
    return {
        folder.name: sorted(path for path in folder.rglob("*") if path.is_file())
        for folder in sorted(root.iterdir())
        if folder.is_dir()
    }


def send_all(tiny_bundle, folder, send):
    """Hand every folder to a service of its own."""
    settings = make_settings(
        folder,
        bundle=tiny_bundle,
        dicom_quiet_s=0.0,
        dicom_results=(),
        queue_scans=1000,
        key_rate_per_minute=1_000_000,
        max_wait_s=600.0,
    )
    with run_service(settings) as client:
        return {
            path: fate
            for files in list_folders().values()
            for path, fate in send(client, files).items()
        }


def is_explained(way, by_stow, other):
    """Whether a way may tell another reason than STOW, and tells one that is as true."""
    if way == "C-STORE":
        # Its senders write meta information anew: it cannot contradict, or there is none to write.
        # What was kept for that makes later files of the same name duplicates.
        return by_stow == "mismatched_class" or other in {"duplicate_object", UNSENDABLE}
    if way == "REST":
        # Each file is a scan by itself, that nothing is mixed with, and is decoded before it is
        # compared with what is there.
        return (by_stow, other) == ("mixed_series", "scored") or by_stow == "duplicate_object"
    return False


def draw(fates):
    """Draw the table: how many files had which fate, by each way."""
    counts = {way: Counter(fate.reason for fate in told.values()) for way, told in fates.items()}
    table = Table("became", *counts, title="the real files by every way in")
    for reason in sorted({reason for count in counts.values() for reason in count}):
        table.add_row(reason, *(str(count[reason] or "") for count in counts.values()))
    table.add_row("files", *(str(sum(count.values())) for count in counts.values()))
    return table


def test_real_files_have_one_fate_whichever_way_they_came(tiny_bundle, tmp_path, capsys):
    fates = {way: send_all(tiny_bundle, tmp_path / way, send) for way, send in WAYS.items()}

    by_stow = fates["STOW"]
    differing = {
        (path.name, way): (by_stow[path].reason, fate.reason)
        for way, told in fates.items()
        for path, fate in told.items()
        if fate.reason != by_stow[path].reason
    }
    unexplained = {
        place: reasons
        for place, reasons in differing.items()
        if not is_explained(place[1], *reasons)
    }
    with capsys.disabled():
        console = Console(width=120)
        console.print()
        console.print(draw(fates))
        for (way, *reasons), count in Counter(
            (place[1], *reasons) for place, reasons in sorted(differing.items())
        ).items():
            console.print(f"{way}: {count} times {reasons[1]} where STOW says {reasons[0]}")
    assert not any(fate.word == "lost" for told in fates.values() for fate in told.values())
    assert {frozenset(told) for told in fates.values()} == {frozenset(by_stow)}
    assert unexplained == {}
