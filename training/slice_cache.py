"""Cohort to a cache of normalized slices: each scan is decoded and normalized once."""

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import models.decoding
import models.normalize
from models.decoding.limits import DecodeLimits
from models.errors import DecodeError, TrainingError, UnscorableScan
from models.normalize import normalize_scan
from models.specs import NormalizeSpec, Share, Spec
from training.cohort import CohortScan
from training.dataset import SliceDataset
from training.scan_stream import Decode, map_in_order, open_decoders
from training.slice_file import (
    INDEX_NAME,
    PIXELS_NAME,
    UNREAD_NAME,
    PackedScan,
    SliceFile,
    SliceWriter,
    UnreadScan,
    pack_scan,
)

Progress = Callable[[int, int], None]

_VERSION = 1
_NAMED_SCANS = 5


class SliceCacheSpec(Spec):
    """What a cache holds, and how many scans it may lack.

    Slices whose body covers less than `minimum_foreground_share` of the picture teach nothing and
    are left out of training; they are still scored. Where more than `maximum_unread_share` of the
    scans cannot be read the run stops.
    """

    normalize: NormalizeSpec
    minimum_foreground_share: Share = 0.02
    maximum_unread_share: Share = 0.02


class SliceCache:
    """The slices of a cohort's scans, on disk; made by `open_slice_cache`.

    `scan_index`: int32 [N], place in the list of scans of each slice.
    `slice_index`: int32 [N], which slice of that scan.
    `unread`: scans that could not be read, each with its reason. `key`: of files, spec and code.
    """

    def __init__(self, folder: Path, size_px: int, scans: Sequence[CohortScan]) -> None:
        self.key = folder.name
        self._index: NDArray[np.int32] = np.load(folder / INDEX_NAME, allow_pickle=False)
        self._file = SliceFile(folder / PIXELS_NAME, size_px)
        self._scans = scans
        unread = json.loads((folder / UNREAD_NAME).read_text(encoding="utf-8"))
        self.unread = tuple(UnreadScan(**scan) for scan in unread)
        self.scan_index: NDArray[np.int32] = self._index[:, 0]
        self.slice_index: NDArray[np.int32] = self._index[:, 1]

    def __len__(self) -> int:
        return len(self._index)

    def select(self, scans: Sequence[CohortScan]) -> SliceDataset:
        """Give the slices of some of the cached scans, such as one fold.

        Raises:
            KeyError: a scan is not among those of the cache.
        """
        places = {scan.name: place for place, scan in enumerate(self._scans)}
        wanted = np.array([places[scan.name] for scan in scans], dtype=np.int32)
        indices = np.flatnonzero(np.isin(self.scan_index, wanted))
        return SliceDataset(self._file, indices, self._index)

    def find_patients(self, dataset: SliceDataset) -> NDArray[np.int32]:
        """Number the patient of each slice: int32 [N], equal for slices of one patient."""
        codes: dict[str, int] = {}
        per_scan = [codes.setdefault(scan.patient, len(codes)) for scan in self._scans]
        return np.array(per_scan, dtype=np.int32)[dataset.scan_index]


def open_slice_cache(
    scans: Sequence[CohortScan],
    spec: SliceCacheSpec,
    limits: DecodeLimits,
    folder: Path,
    *,
    workers: int,
    progress: Progress,
) -> SliceCache:
    """Open the cache of these scans; write it first, or go on writing it, where it is not whole.

    Args:
        scans: all scans that will be trained or validated on.
        spec: how they are normalized, and what is left out.
        limits: what a scan may ask of the decoder.
        folder: where caches are kept, one subfolder each; several processes may share it.
        workers: how many bounded child processes decode; 0 decodes in this process.
        progress: called with the number of scans done and of all scans.

    Raises:
        TrainingError: more scans than the spec allows cannot be read, or no slice is left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = compute_cache_key(scans, spec, limits)
    with _locked(folder / f"{key}.lock"):
        if not (folder / key).is_dir():
            _write_cache(scans, spec, limits, folder / key, workers=workers, progress=progress)
    cache = SliceCache(folder / key, spec.normalize.size_px, scans)
    _check_unread(cache.unread, len(scans), spec)
    if not len(cache):
        raise TrainingError("no slice shows enough of a body to train on")
    return cache


def compute_cache_key(
    scans: Sequence[CohortScan], spec: SliceCacheSpec, limits: DecodeLimits
) -> str:
    """Compute the name of a cache: equal files, spec and code give an equal key.

    A file counts by its path in the cohort, its size and its time of change; the code by the
    sources of decoding and normalization, so that a change there never meets old slices.
    """
    digest = hashlib.sha256(f"{_VERSION} {spec.model_dump_json()} {limits!r}".encode())
    decoding = Path(models.decoding.__file__ or "").parent
    for source in (Path(models.normalize.__file__), *sorted(decoding.glob("*.py"))):
        digest.update(source.read_bytes())
    for scan in scans:
        for row in scan.rows:
            for path in _list_files(row.path):
                state = path.stat()
                digest.update(
                    f"\n{scan.name}\t{path.name}\t{state.st_size}\t{state.st_mtime_ns}".encode()
                )
    return digest.hexdigest()[:24]


def _list_files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing the same cache; they wait and then find it whole."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write_cache(
    scans: Sequence[CohortScan],
    spec: SliceCacheSpec,
    limits: DecodeLimits,
    target: Path,
    *,
    workers: int,
    progress: Progress,
) -> None:
    writer = SliceWriter(target.with_name(f"{target.name}.partial"), spec.normalize.size_px)
    waiting = (scans[place] for place in range(writer.scan_count, len(scans)))
    try:
        with open_decoders(workers, limits) as decode:
            for packed in map_in_order(partial(_pack, spec, decode), waiting, workers):
                writer.append(packed)
                progress(writer.scan_count, len(scans))
    finally:
        writer.close()
    writer.finish(target)


def _pack(spec: SliceCacheSpec, decode: Decode, scan: CohortScan) -> PackedScan:
    try:
        decoded = decode([row.path for row in scan.rows])
        normalized = normalize_scan(decoded, spec.normalize)
    except (DecodeError, UnscorableScan) as error:
        return PackedScan(scan.name, (), b"", unread=error.code)
    return pack_scan(scan.name, normalized, spec.minimum_foreground_share)


def _check_unread(unread: Sequence[UnreadScan], count: int, spec: SliceCacheSpec) -> None:
    if len(unread) > spec.maximum_unread_share * count:
        named = ", ".join(f"{scan.name} ({scan.code})" for scan in unread[:_NAMED_SCANS])
        hidden = len(unread) - min(len(unread), _NAMED_SCANS)
        raise TrainingError(
            f"{len(unread)} of {count} scans cannot be read, at most "
            f"{spec.maximum_unread_share:.0%} may: {named}"
            + (f" and {hidden} more" if hidden else "")
        )
