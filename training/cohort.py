"""Cohort file or folders to the scans of each split, checked before a single scan is read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidCohort
from training.cohort_rules import check_files, check_groups, check_rows
from training.cohort_table import (
    CSV_NAME,
    HEALTHY,
    SPLITS,
    CodedColumn,
    CohortTable,
    ColumnBuilder,
    list_folder_table,
    read_csv_table,
)

POSITION = "position"


@dataclass(frozen=True, slots=True)
class CohortRow:
    """One file of a cohort.

    `patient` is never empty: a row (or series) that names none is its own patient. `number` is what
    a spreadsheet shows for the row. `columns` are all further columns, for subgroups and windows.
    """

    path: Path
    split: str
    label: str
    patient: str
    mask: Path | None
    series: str | None
    columns: Mapping[str, str]
    number: int

    @property
    def is_healthy(self) -> bool:
        """Whether the row has the one healthy label."""
        return self.label == HEALTHY


@dataclass(frozen=True, slots=True)
class CohortScan:
    """One scan: a single row, or the slices of a series in their order.

    `name` is the path of the first row inside the cohort's folder; it differs from scan to scan.
    """

    name: str
    rows: tuple[CohortRow, ...]

    @property
    def patient(self) -> str:
        """The patient of all rows."""
        return self.rows[0].patient

    @property
    def split(self) -> str:
        """The split of all rows."""
        return self.rows[0].split

    @property
    def is_healthy(self) -> bool:
        """Whether every row is healthy."""
        return all(row.is_healthy for row in self.rows)

    @property
    def label(self) -> str:
        """`healthy` where every row is, else the other labels joined by a plus sign."""
        return "+".join(sorted({row.label for row in self.rows} - {HEALTHY})) or HEALTHY


@dataclass(frozen=True, slots=True)
class FlowCount:
    """How much of one label a split holds; a series counts as one scan of its label."""

    split: str
    label: str
    patients: int
    scans: int
    rows: int


class CohortScans(Sequence[CohortScan]):
    """Scans of a cohort, built when asked for, so that a long cohort stays small in memory."""

    def __init__(self, cohort: "Cohort", indices: NDArray[np.intp]) -> None:
        self._cohort = cohort
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> CohortScan: ...

    @overload
    def __getitem__(self, index: slice) -> "CohortScans": ...

    def __getitem__(self, index: int | slice) -> "CohortScan | CohortScans":
        if isinstance(index, slice):
            return CohortScans(self._cohort, self._indices[index])
        return self._cohort.build_scan(int(self._indices[index]))

    def select(self, indices: Iterable[int]) -> "CohortScans":
        """Give the scans at these places, in this order."""
        return CohortScans(self._cohort, self._indices[np.fromiter(indices, dtype=np.intp)])


class Cohort:
    """Which scans are in which split; made by `read_cohort`."""

    def __init__(self, table: CohortTable) -> None:
        self._table = table
        self._patient = _name_patients(table)
        check_groups(table, self._patient)
        self._rows, self._starts = _group_slices(table)

    @property
    def root(self) -> Path:
        """The folder that all paths are relative to."""
        return self._table.root

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all further columns."""
        return tuple(self._table.columns)

    @property
    def flow(self) -> tuple[FlowCount, ...]:
        """Patients, scans and rows of each split and label, for the card."""
        return tuple(
            self._count(split, label)
            for split in SPLITS
            for label in sorted(self._table.label.values)
            if self._select(split, label).any()
        )

    def __len__(self) -> int:
        return len(self._starts) - 1

    def scans(self, split: str) -> CohortScans:
        """Give the scans of `train` or `test`, in the order of their first rows.

        Raises:
            InvalidCohort: there is no such split.
        """
        if split not in SPLITS:
            raise InvalidCohort(f"there is no split {split}; expected one of {', '.join(SPLITS)}")
        first_rows = self._rows[self._starts[:-1]]
        return CohortScans(self, np.flatnonzero(self._table.split.select(split)[first_rows]))

    def build_scan(self, index: int) -> CohortScan:
        """Build one scan of the cohort, counted over all splits."""
        rows = self._rows[self._starts[index] : self._starts[index + 1]]
        return CohortScan(
            name=self._table.paths[rows.min()],
            rows=tuple(self._build_row(int(row)) for row in rows),
        )

    def _build_row(self, row: int) -> CohortRow:
        table = self._table
        mask = table.mask[row]
        return CohortRow(
            path=table.root / table.paths[row],
            split=table.split[row],
            label=table.label[row],
            patient=self._patient[row],
            mask=table.root / mask if mask else None,
            series=table.series[row] or None,
            columns={name: column[row] for name, column in table.columns.items()},
            number=table.get_number(row),
        )

    def _select(self, split: str, label: str) -> NDArray[np.bool_]:
        return self._table.split.select(split) & self._table.label.select(label)

    def _count(self, split: str, label: str) -> FlowCount:
        is_counted = self._select(split, label)
        per_scan = np.logical_or.reduceat(is_counted[self._rows], self._starts[:-1])
        patients = np.unique(self._patient.codes[is_counted])
        return FlowCount(split, label, len(patients), int(per_scan.sum()), int(is_counted.sum()))


def read_cohort(path: Path) -> Cohort:
    """Read a cohort: a `cohort.csv`, the folder that holds one, or folders by split and label.

    Raises:
        InvalidCohort: anything is wrong with it; the message names rows and files, and what to do.
    """
    if path.is_file():
        table = read_csv_table(path)
    elif (path / CSV_NAME).is_file():
        table = read_csv_table(path / CSV_NAME)
    elif path.is_dir():
        table = list_folder_table(path)
    else:
        raise InvalidCohort(f"there is no cohort at {path}")
    check_rows(table)
    check_files(table)
    return Cohort(table)


def _name_patients(table: CohortTable) -> CodedColumn:
    """Give every row a patient: its own where it, or its series, names none."""
    builder = ColumnBuilder()
    first_rows: dict[int, int] = {}
    for row in range(len(table)):
        name = table.patient[row]
        if not name:
            series = int(table.series.codes[row]) if table.series[row] else -1 - row
            name = f"(row {table.get_number(first_rows.setdefault(series, row))})"
        builder.append(name)
    return builder.build()


def _group_slices(table: CohortTable) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Sort the rows by scan, and inside a scan by position.

    Returns:
        intp [rows], row numbers; and intp [scans + 1], where each scan starts among them.
    """
    count = len(table)
    in_series = ~table.series.select("")
    # A row outside of any series gets a group code of its own, behind those of the series.
    groups = np.where(in_series, table.series.codes, len(table.series.values) + np.arange(count))
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    scan = first[inverse]
    rows = np.lexsort((np.arange(count), _read_positions(table, in_series), scan))
    starts = np.flatnonzero(np.diff(scan[rows], prepend=-1, append=count))
    return rows, starts


def _read_positions(table: CohortTable, in_series: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Read where each row lies in its volume: float64 [rows]; 0 where the cohort does not say."""
    if POSITION not in table.columns:
        return np.zeros(len(table))
    column = table.columns[POSITION]
    positions = np.array([_parse_number(value) for value in column.values])[column.codes]
    is_empty = column.select("") | ~in_series
    wrong = np.flatnonzero(~np.isfinite(positions) & ~is_empty)
    placed = np.unique(table.series.codes[in_series & ~is_empty])
    unplaced = np.flatnonzero(in_series & is_empty & np.isin(table.series.codes, placed))
    if len(wrong) or len(unplaced):
        raise InvalidCohort(
            "the position must be a number, for all rows of a series or for none: "
            + table.name_rows(wrong if len(wrong) else unplaced)
        )
    return np.where(is_empty, 0.0, positions)


def _parse_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
