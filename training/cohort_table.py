"""Rows of a cohort in columns: codes and shared strings instead of one object a row."""

import csv
import posixpath
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidCohort

HEALTHY = "healthy"
TRAIN = "train"
TEST = "test"
SPLITS = (TRAIN, TEST)
CSV_NAME = "cohort.csv"

_REQUIRED = ("path", "split", "label", "patient")
_OPTIONAL = ("mask", "series")
_NAMED_ROWS = 5


@dataclass(frozen=True, slots=True)
class CodedColumn:
    """A column of strings, each different string kept once.

    `codes`: int32 [rows], 0..len(values) - 1, index into `values`.
    """

    codes: NDArray[np.int32]
    values: tuple[str, ...]

    def __getitem__(self, row: int) -> str:
        return self.values[int(self.codes[row])]

    def select(self, value: str) -> NDArray[np.bool_]:
        """Tell the rows that hold this string: bool [rows], True where they do."""
        code = self.values.index(value) if value in self.values else -1
        is_equal: NDArray[np.bool_] = self.codes == code
        return is_equal


@dataclass(frozen=True, slots=True)
class CohortTable:
    """What the cohort's file or folders say, row by row, not yet checked against the rules.

    `paths` and `mask` are relative to `root`; an empty string in `mask`, `series` or `patient` says
    that there is none. `row_offset` is the number that a spreadsheet shows for the first row, or
    None for a cohort of folders.
    """

    root: Path
    paths: tuple[str, ...]
    split: CodedColumn
    label: CodedColumn
    patient: CodedColumn
    mask: CodedColumn
    series: CodedColumn
    columns: dict[str, CodedColumn]
    row_offset: int | None

    def __len__(self) -> int:
        return len(self.paths)

    def get_number(self, row: int) -> int:
        """Give the row's number as a spreadsheet shows it; counted from 1 for folders."""
        return row + (1 if self.row_offset is None else self.row_offset)

    def name_rows(self, rows: NDArray[np.intp]) -> str:
        """Name some rows for a message by their numbers and paths, and count the others."""
        named = [self._name_row(int(row)) for row in rows[:_NAMED_ROWS]]
        hidden = len(rows) - len(named)
        return ", ".join(named) + (f" and {hidden} more" if hidden else "")

    def _name_row(self, row: int) -> str:
        if self.row_offset is None:
            return self.paths[row]
        return f"row {self.get_number(row)} ({self.paths[row]})"


class ColumnBuilder:
    """Collects the strings of one column."""

    def __init__(self) -> None:
        self._codes = array("i")
        self._values: dict[str, int] = {}

    def append(self, value: str) -> None:
        """Add the string of the next row."""
        self._codes.append(self._values.setdefault(value, len(self._values)))

    def build(self) -> CodedColumn:
        """Give the column collected so far."""
        return CodedColumn(np.array(self._codes, dtype=np.int32), tuple(self._values))


def read_csv_table(path: Path) -> CohortTable:
    """Read a `cohort.csv`; all columns beyond the known ones are kept as strings.

    Args:
        path: the file; paths inside it are relative to its folder.

    Raises:
        InvalidCohort: the file is no readable table, or lacks a column.
    """
    builders: dict[str, ColumnBuilder] = {}
    paths: list[str] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = _read_header(reader)
            builders = {name: ColumnBuilder() for name in (*header, *_OPTIONAL) if name != "path"}
            _collect_rows(reader, header, paths, builders)
    except OSError as error:
        raise InvalidCohort(f"{path.name} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidCohort(f"{path.name} is not a comma separated table in UTF-8") from error
    return _build_table(path.parent, paths, builders, row_offset=2)


def list_folder_table(root: Path) -> CohortTable:
    """List a cohort of folders, `train/healthy` and `test/<label>`, one scan a file or subfolder.

    A subfolder is one scan, the folder of a DICOM series. Every scan is its own patient.

    Raises:
        InvalidCohort: the folder holds other folders than `train` and `test`, or no `train`.
    """
    found = {entry.name for entry in root.iterdir() if entry.is_dir() and _is_visible(entry)}
    if TRAIN not in found and TEST not in found:
        raise InvalidCohort(f"found neither {CSV_NAME} nor a folder {TRAIN}/{HEALTHY}")
    if unknown := sorted(found.difference(SPLITS)):
        raise InvalidCohort(
            f"found the folder {unknown[0]}; a cohort without {CSV_NAME} has the folders "
            f"{TRAIN} and {TEST} only: write a {CSV_NAME}, or move the folder away"
        )
    builders = {name: ColumnBuilder() for name in (*_REQUIRED[1:], *_OPTIONAL)}
    paths: list[str] = []
    for split in SPLITS:
        for label, name in _list_scans(root / split):
            paths.append(posixpath.join(split, label, name))
            values = {"split": split, "label": label}
            for column, builder in builders.items():
                builder.append(values.get(column, ""))
    return _build_table(root, paths, builders, row_offset=None)


def _read_header(reader: Iterator[list[str]]) -> list[str]:
    header = [name.strip() for name in next(reader, [])]
    if missing := [name for name in _REQUIRED if name not in header]:
        raise InvalidCohort(
            f"the first row lacks the column {missing[0]}; expected path,split,label,patient,mask"
        )
    if len(set(header)) != len(header) or "" in header:
        raise InvalidCohort("the first row names a column twice, or leaves one without a name")
    return header


def _collect_rows(
    reader: Iterator[list[str]],
    header: list[str],
    paths: list[str],
    builders: dict[str, ColumnBuilder],
) -> None:
    absent = [name for name in _OPTIONAL if name not in header]
    for number, fields in enumerate(reader, start=2):
        if len(fields) != len(header):
            raise InvalidCohort(f"row {number} has {len(fields)} fields, expected {len(header)}")
        for name, field in zip(header, fields, strict=True):
            value = field.strip()
            if name == "path":
                paths.append(value)
            else:
                builders[name].append(value)
        for name in absent:
            builders[name].append("")


def _build_table(
    root: Path, paths: list[str], builders: dict[str, ColumnBuilder], *, row_offset: int | None
) -> CohortTable:
    columns = {name: builder.build() for name, builder in builders.items()}
    return CohortTable(
        root=root,
        paths=tuple(paths),
        split=columns.pop("split"),
        label=columns.pop("label"),
        patient=columns.pop("patient"),
        mask=columns.pop("mask"),
        series=columns.pop("series"),
        columns=columns,
        row_offset=row_offset,
    )


def _list_scans(folder: Path) -> Iterator[tuple[str, str]]:
    labels = sorted(folder.iterdir()) if folder.is_dir() else []
    for label in filter(_is_visible, labels):
        if not label.is_dir():
            raise InvalidCohort(f"found the file {folder.name}/{label.name}, expected a folder")
        yield from (
            (label.name, entry.name) for entry in sorted(label.iterdir()) if _is_visible(entry)
        )


def _is_visible(entry: Path) -> bool:
    return not entry.name.startswith(".") and entry.name not in {"Thumbs.db", "desktop.ini"}
