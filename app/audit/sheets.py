"""The audit trail as a CSV sheet that a spreadsheet program shows and never runs."""

import csv
import io
import json
from collections.abc import Iterable, Iterator

from app.audit.tables import AuditEntryRow

COLUMNS = (
    "sequence",
    "at",
    "actor",
    "action",
    "subject",
    "detail",
    "request_id",
    "previous_sha256",
    "sha256",
)
# What makes spreadsheet programs take a cell for a formula (OWASP, CSV injection); wide forms too.
_FORMULA_STARTS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_sheet(entries: Iterable[AuditEntryRow]) -> Iterator[str]:
    """Write entries as lines of CSV (RFC 4180), the names of the columns first."""
    yield _write_line(COLUMNS)
    for entry in entries:
        yield _write_line(_write_cell(getattr(entry, name)) for name in COLUMNS)


def neutralize_cell(text: str) -> str:
    """Give a text that no program takes for a formula or a control code.

    What would begin a formula gets an apostrophe; control characters, which end cells or steer
    terminals, become spaces.
    """
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA_STARTS) else shown


def _write_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        value = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return neutralize_cell(str(value))


def _write_line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow(cells)
    return line.getvalue()
