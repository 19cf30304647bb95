"""Cohort to the scans that are there twice: equal files, and pictures that look the same.

The same picture on both sides of a split makes a detector look better than it is. Pictures of one
patient, such as neighbouring slices, may look alike and are compared by their bytes only.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from models.decoding.limits import DecodeLimits
from models.decoding.scan import DecodedScan
from models.errors import DecodeError, InvalidCohort, UnscorableScan
from models.normalize import normalize_scan
from models.specs import NormalizeSpec
from training.cohort import Cohort, CohortRow
from training.cohort_table import SPLITS
from training.hash_search import find_close_pairs
from training.scan_stream import Decode, map_in_order, open_decoders

# 16 x 16 low frequencies of the picture's cosine transform (Zauner 2010), as 256 bits.
HASH_SIDE = 16
# Measured on 1,958 chest X-rays and 1,159 brain slices: the closest of 2.6 million pairs of
# different patients differ by 34 bits; JPEG at quality 40, a third of the size, 20 % more light or
# noise change at most 14 bits, gamma 1.3 at most 22. A turn by 2 degrees is missed.
NEAR_BITS = 20

_LOOK = NormalizeSpec(size_px=128, fit="stretch")
_NAMED_PAIRS = 5
_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two files that hold the same picture; `bits` is how far their hashes differ."""

    first: str
    second: str
    bits: int
    across_splits: bool
    across_patients: bool


@dataclass(frozen=True, slots=True)
class DuplicateReport:
    """What was found before training.

    `exact`: files with equal bytes. `near`: pictures of different patients that look the same.
    `unread`: files that could not be compared. `is_cut`: there are more near pairs than listed.
    """

    exact: tuple[DuplicatePair, ...]
    near: tuple[DuplicatePair, ...]
    unread: tuple[str, ...]
    file_count: int
    is_cut: bool

    def __str__(self) -> str:
        lines = [
            f"{self.file_count} files compared, {len(self.unread)} could not be read",
            _summarize("equal files", self.exact),
            _summarize("near duplicates", self.near) + (" or more" if self.is_cut else ""),
        ]
        across = [pair for pair in (*self.exact, *self.near) if pair.across_splits]
        lines += [f"  {pair.first} = {pair.second}" for pair in across[:_NAMED_PAIRS]]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Fingerprint:
    """Name, split and patient of a file, and what is compared.

    `look`: the 256 bits of the perceptual hash; None where the file cannot be read.
    """

    name: str
    split: str
    patient: str
    digest: bytes
    look: bytes | None


def find_duplicates(
    cohort: Cohort,
    limits: DecodeLimits,
    *,
    workers: int,
    progress: Callable[[int, int], None],
) -> DuplicateReport:
    """Compare every file of a cohort with every other, over both splits.

    Args:
        cohort: the cohort.
        limits: what a scan may ask of the decoder.
        workers: how many bounded child processes decode; 0 decodes in this process.
        progress: called with the number of files done and of all files.
    """
    total = sum(count.rows for count in cohort.flow)
    prints: list[_Fingerprint] = []
    with open_decoders(workers, limits) as decode:
        take = partial(_take_fingerprint, decode, cohort.root)
        for fingerprint in map_in_order(take, _list_rows(cohort), workers):
            prints.append(fingerprint)
            progress(len(prints), total)
    near, is_cut = _pair_near(prints)
    return DuplicateReport(
        exact=tuple(_pair_exact(prints)),
        near=near,
        unread=tuple(print_.name for print_ in prints if print_.look is None),
        file_count=len(prints),
        is_cut=is_cut,
    )


def check_duplicates(report: DuplicateReport) -> None:
    """Refuse a cohort with equal files on both sides of the split.

    Raises:
        InvalidCohort: with the files.
    """
    across = [pair for pair in report.exact if pair.across_splits]
    if across:
        named = ", ".join(f"{pair.first} = {pair.second}" for pair in across[:_NAMED_PAIRS])
        raise InvalidCohort(
            f"{len(across)} files of test are also in train: remove them from one, {named}"
        )


def compute_look(scan: DecodedScan) -> bytes:
    """Compute the perceptual hash of a scan's middle slice: 256 bits.

    Raises:
        UnscorableScan: there is nothing to see.
    """
    image = normalize_scan(scan, _LOOK).image[scan.slice_count // 2, 0].numpy()
    picture = Image.fromarray(np.rint(image * 255).astype(np.uint8))
    return np.packbits(imagehash.phash(picture, HASH_SIDE).hash).tobytes()


def _list_rows(cohort: Cohort) -> Iterator[CohortRow]:
    for split in SPLITS:
        for scan in cohort.scans(split):
            yield from scan.rows


def _take_fingerprint(decode: Decode, root: Path, row: CohortRow) -> _Fingerprint:
    try:
        look = compute_look(decode([row.path]))
    except (DecodeError, UnscorableScan):
        look = None
    name = row.path.relative_to(root).as_posix()
    return _Fingerprint(name, row.split, row.patient, _digest_path(row.path), look)


def _digest_path(path: Path) -> bytes:
    """Digest a file, or all files of a folder in the order of their names."""
    digest = hashlib.sha256()
    files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
    for file in files:
        with file.open("rb") as content:
            while block := content.read(_BLOCK_BYTES):
                digest.update(block)
    return digest.digest()


def _pair_exact(prints: list[_Fingerprint]) -> Iterator[DuplicatePair]:
    """Pair every file with the first of its kind, which is of train where any is."""
    groups: dict[bytes, list[_Fingerprint]] = defaultdict(list)
    for print_ in prints:
        groups[print_.digest].append(print_)
    for first, *others in groups.values():
        yield from (_pair(first, other, 0) for other in others)


def _pair_near(prints: list[_Fingerprint]) -> tuple[tuple[DuplicatePair, ...], bool]:
    readable = [print_ for print_ in prints if print_.look is not None]
    content = b"".join(print_.look for print_ in readable if print_.look is not None)
    looks = np.frombuffer(content, dtype=np.uint64).reshape(len(readable), -1)
    patients: dict[str, int] = {}
    groups = np.array(
        [patients.setdefault(print_.patient, len(patients)) for print_ in readable], dtype=np.int64
    )
    found = find_close_pairs(looks, groups, NEAR_BITS)
    pairs = [
        _pair(readable[first], readable[second], bits)
        for first, second, bits in found.pairs.tolist()
        if readable[first].digest != readable[second].digest
    ]
    return tuple(sorted(pairs, key=lambda pair: pair.bits)), found.is_cut


def _pair(first: _Fingerprint, second: _Fingerprint, bits: int) -> DuplicatePair:
    return DuplicatePair(
        first.name,
        second.name,
        bits,
        across_splits=first.split != second.split,
        across_patients=first.patient != second.patient,
    )


def _summarize(kind: str, pairs: tuple[DuplicatePair, ...]) -> str:
    splits = sum(pair.across_splits for pair in pairs)
    patients = sum(pair.across_patients for pair in pairs)
    return f"{kind}: {splits} pairs across splits, {patients} across patients, {len(pairs)} in all"
