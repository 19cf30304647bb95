import csv
import io

import pytest

from app.audit.sheets import COLUMNS, neutralize_cell, write_sheet
from app.audit.tables import AuditEntryRow
from tests.fakes.clock import FakeClock

FORMULAS = [
    '=cmd|"/c calc"!A1', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r\n=1", "  =1", "\uff1d1", "\x00=1",
    "\x1b[31m=1", "\u202e=1", "\ufeff=1",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_a_formula(text):
    cell = neutralize_cell(text)

    assert cell.isprintable()
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d"))


@pytest.mark.parametrize("text", ["case:1", "", "a=b", "key:0190e4a0", '{"what": "case"}'])
def test_honest_cells_stay_as_they_are(text):
    assert neutralize_cell(text) == text


def test_a_sheet_is_read_back_cell_by_cell():
    entry = AuditEntryRow(
        sequence=1, at=FakeClock().now(), actor='=HYPERLINK("http://x")', action="case_viewed",
        subject='a,"b"\nc', detail={"what": "=1"}, request_id=None,
        previous_sha256="0" * 64, sha256="1" * 64,
    )  # fmt: skip

    sheet = "".join(write_sheet([entry]))

    names, cells = csv.reader(io.StringIO(sheet))
    assert tuple(names) == COLUMNS
    assert cells[:7] == [
        "1", "2030-01-02 03:04:05+00:00", '\'=HYPERLINK("http://x")', "case_viewed", 'a,"b" c',
        '{"what": "=1"}', "",
    ]  # fmt: skip
