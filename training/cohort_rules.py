"""Rules of a cohort: what is refused before a single scan is read.

Messages name rows and files, never a patient.
"""

import os
import posixpath
import stat
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from models.errors import InvalidCohort
from training.cohort_table import HEALTHY, SPLITS, TRAIN, CodedColumn, CohortTable

Rows = NDArray[np.bool_]


def check_rows(table: CohortTable) -> None:
    """Refuse rows that cannot be right whatever the other rows say.

    Raises:
        InvalidCohort: with the numbers and files of the rows, and what to do.
    """
    if not len(table):
        raise InvalidCohort("the cohort has no rows")
    paths = table.paths
    _refuse(table, _find(paths, lambda path: not path), "have no path: name the scan's file")
    _refuse(table, table.label.select(""), f"have no label: write {HEALTHY} or what is seen")
    unknown = [value for value in table.split.values if value not in SPLITS]
    _refuse(table, _any_of(table.split, unknown), "have a split other than train and test")
    _refuse(
        table,
        _any_of(table.label, [v for v in table.label.values if _is_misspelt(v)]),
        f"spell the healthy label otherwise: write {HEALTHY}",
    )
    _refuse(
        table,
        _find(paths, _is_escaping) | _find_masks(table, _is_escaping),
        "lead out of the cohort's folder: use paths relative to it, without ..",
    )
    _refuse(table, _find_repeated(paths), "name a file that an earlier row names: keep one of them")
    _refuse(
        table,
        table.split.select(TRAIN) & ~table.label.select(HEALTHY),
        f"are in train but not {HEALTHY}: training takes healthy scans only, move them to test",
    )


def check_groups(table: CohortTable, patient: CodedColumn) -> None:
    """Refuse patients and series that are torn apart.

    Args:
        table: the rows.
        patient: the patient of each row, never empty.

    Raises:
        InvalidCohort: with the numbers and files of the rows, and what to do.
    """
    everyone = np.ones(len(table), dtype=np.bool_)
    in_series = ~table.series.select("")
    _refuse(
        table,
        _find_torn(table.series, patient, in_series),
        "belong to a series of another patient: a series is one volume of one patient",
    )
    _refuse(
        table,
        _find_torn(table.series, table.split, in_series),
        "belong to a series that starts in the other split: keep its rows together",
    )
    _refuse(
        table,
        _find_torn(patient, table.split, everyone),
        "belong to a patient of the other split: the patient decides the split, move the rows",
    )


def check_files(table: CohortTable) -> None:
    """Refuse rows whose scan or mask is not there, or lies elsewhere behind a link.

    Raises:
        InvalidCohort: with the numbers and files of the rows, and what to do.
    """
    finder = _FileFinder(table.root)
    states = np.array([finder.find(path) for path in table.paths])
    masks = np.array([finder.find(mask) if mask else _FOUND for mask in table.mask.values])
    mask_states = masks[table.mask.codes]
    _refuse(table, states == _MISSING, "name a file that does not exist: correct the path")
    _refuse(table, mask_states == _MISSING, "name a mask that does not exist: correct the path")
    _refuse(
        table,
        (states == _OUTSIDE) | (mask_states == _OUTSIDE),
        "are links that lead out of the cohort's folder: copy the files into it",
    )


_FOUND, _MISSING, _OUTSIDE = 0, 1, 2


class _FileFinder:
    """Looks for files, and follows the links of each folder once."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._folders: dict[str, bool] = {}

    def find(self, path: str) -> int:
        """Tell whether a relative path is found, missing or outside of the root."""
        full = f"{self._root}/{path}"
        try:
            is_link = stat.S_ISLNK(os.lstat(full).st_mode)
        except OSError:
            return _MISSING
        if is_link and not Path(full).exists():
            return _MISSING
        is_inside = self._is_folder_inside(posixpath.dirname(path))
        if is_inside and is_link:
            is_inside = self._is_inside(full)
        return _FOUND if is_inside else _OUTSIDE

    def _is_folder_inside(self, folder: str) -> bool:
        if folder not in self._folders:
            self._folders[folder] = self._is_inside(f"{self._root}/{folder}")
        return self._folders[folder]

    def _is_inside(self, full: str) -> bool:
        return os.path.commonpath([self._root, os.path.realpath(full)]) == self._root


def _refuse(table: CohortTable, wrong: Rows, reason: str) -> None:
    if wrong.any():
        rows = np.flatnonzero(wrong)
        raise InvalidCohort(f"{len(rows)} of {len(table)} rows {reason}: {table.name_rows(rows)}")


def _find(values: Iterable[str], is_wrong: Callable[[str], bool]) -> Rows:
    return np.array([is_wrong(value) for value in values], dtype=np.bool_)


def _find_masks(table: CohortTable, is_wrong: Callable[[str], bool]) -> Rows:
    return _find(table.mask.values, is_wrong)[table.mask.codes]


def _any_of(column: CodedColumn, values: list[str]) -> Rows:
    wrong = np.array([value in values for value in column.values], dtype=np.bool_)
    return wrong[column.codes]


def _is_misspelt(label: str) -> bool:
    return label != HEALTHY and label.casefold() == HEALTHY


def _is_escaping(path: str) -> bool:
    pure = PurePosixPath(path)
    return pure.is_absolute() or ".." in pure.parts or "\0" in path


def _find_repeated(paths: tuple[str, ...]) -> Rows:
    seen: set[str] = set()
    repeated = np.zeros(len(paths), dtype=np.bool_)
    for row, path in enumerate(paths):
        plain = posixpath.normpath(path)
        repeated[row] = plain in seen
        seen.add(plain)
    return repeated


def _find_torn(group: CodedColumn, part: CodedColumn, among: Rows) -> Rows:
    """Find the rows whose part differs from that of the first row of their group."""
    rows = np.flatnonzero(among)
    torn = np.zeros(len(among), dtype=np.bool_)
    if len(rows):
        _, first, inverse = np.unique(group.codes[rows], return_index=True, return_inverse=True)
        torn[rows] = part.codes[rows] != part.codes[rows][first][inverse]
    return torn
