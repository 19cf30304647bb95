"""What becomes of files when they are decoded: outcome, time, memory, agreement with others."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydicom.uid import UID

from models.decoding.dicom_dataset import find_transfer_syntax
from models.decoding.dicom_pixels import decode_stored_values
from models.decoding.limits import DecodeLimits
from models.decoding.sniff import HEAD_BYTES, sniff_format
from models.decoding.worker import BoundedDecoder
from models.errors import DecodeError, UnknownFormat
from training.independent_decoders import read_by_others

Comparison = Literal["equal", "differs", "unread"]
# The meta group of a DICOM file, generously.
_META_BYTES = 8 * HEAD_BYTES


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """One file: its encoding, the error that refused it, cost, and what others make of it.

    `comparison` is `unread` where no other decoder reads the file, None where none was asked.
    """

    path: str
    encoding: str
    error: str | None
    seconds: float
    peak_bytes: int
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class EncodingSummary:
    """All files of one encoding."""

    encoding: str
    files: int
    decoded: int
    refused: dict[str, int]
    equal: int
    differs: int
    unread: int
    slowest_s: float
    peak_bytes: int


def list_files(paths: Iterable[Path]) -> list[Path]:
    """Give the files that these paths name or hold, each by itself."""
    found: list[Path] = []
    for path in paths:
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


def measure_files(
    files: Iterable[Path], limits: DecodeLimits, *, is_compared: bool
) -> Iterator[FileOutcome]:
    """Decode each file in a bounded child process."""
    with BoundedDecoder(limits) as decoder:
        for path in files:
            error: DecodeError | None = None
            try:
                decoder.decode(path)
            except DecodeError as refused:
                error = refused
            encoding = name_encoding(path)
            is_dicom = encoding.startswith("DICOM")
            yield FileOutcome(
                path=str(path),
                encoding=encoding,
                error=None if error is None else error.code,
                seconds=decoder.last_cost.seconds,
                peak_bytes=decoder.last_cost.peak_bytes,
                comparison=_compare(path, limits, error) if is_compared and is_dicom else None,
            )


def name_encoding(path: Path) -> str:
    """Name the format of a file, of DICOM with its transfer syntax."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_META_BYTES)
        kind = sniff_format(head[:HEAD_BYTES])
    except (OSError, UnknownFormat):
        return "unknown"
    if kind != "dicom":
        return kind.upper()
    syntax = find_transfer_syntax(head)
    return f"DICOM {syntax} {UID(syntax).name}" if syntax else "DICOM without transfer syntax"


def summarize_outcomes(outcomes: Iterable[FileOutcome]) -> list[EncodingSummary]:
    """Count outcomes for each encoding, in the order of their names."""
    groups: dict[str, list[FileOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.encoding, []).append(outcome)
    return [_summarize(encoding, groups[encoding]) for encoding in sorted(groups)]


def describe_outcomes(outcomes: Sequence[FileOutcome]) -> dict[str, object]:
    """Give everything as plain values, for JSON."""
    return {
        "files": [asdict(outcome) for outcome in outcomes],
        "encodings": [asdict(summary) for summary in summarize_outcomes(outcomes)],
    }


def _compare(path: Path, limits: DecodeLimits, error: DecodeError | None) -> Comparison:
    """Compare stored values; a file that is refused differs where another decoder reads it."""
    ours = None
    if error is None:
        ours = np.stack([f.values for f in decode_stored_values(path.read_bytes(), limits)])
    comparison: Comparison = "unread"
    for theirs in read_by_others(path):
        if ours is not None and np.array_equal(ours, theirs):
            return "equal"
        comparison = "differs"
    return comparison


def _summarize(encoding: str, outcomes: Sequence[FileOutcome]) -> EncodingSummary:
    refused = Counter(outcome.error for outcome in outcomes if outcome.error is not None)
    compared = Counter(outcome.comparison for outcome in outcomes)
    return EncodingSummary(
        encoding=encoding,
        files=len(outcomes),
        decoded=sum(outcome.error is None for outcome in outcomes),
        refused=dict(sorted(refused.items())),
        equal=compared["equal"],
        differs=compared["differs"],
        unread=compared["unread"],
        slowest_s=max(outcome.seconds for outcome in outcomes),
        peak_bytes=max(outcome.peak_bytes for outcome in outcomes),
    )
