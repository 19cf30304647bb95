"""Files, folders, series and zips to findings, one after the other, whatever some of them hold."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from models.decoding.limits import DecodeLimits
from models.decoding.part import Part
from models.decoding.scan import DecodedScan
from models.decoding.series import ScanSource, find_scans
from models.detector import Detector, Finding
from models.errors import DecodeError, NoPixels
from models.pipeline import PreparedScan
from training.scan_stream import map_in_order, open_decoders

# Scans that are scored in one batch at the most, and their slices.
BATCH_SCANS = 16
BATCH_SLICES = 64


@dataclass(frozen=True, slots=True)
class ScoredFile:
    """What came of one scan: a finding, or the error that kept it from being read."""

    path: str
    scan: DecodedScan | None
    finding: Finding | None
    error: DecodeError | None

    def to_json(self, digest: str) -> dict[str, object]:
        """Give the fields of one line of `aegle score --json`."""
        if self.scan is None or self.finding is None:
            return {
                "path": self.path,
                "error": {"code": _code(self.error), "text": str(self.error)},
            }
        verdict = self.finding.verdict
        return {
            "path": self.path,
            "sha256": self.scan.sha256,
            "score": verdict.score,
            "p_value": verdict.p_value,
            "verdict": verdict.label,
            "reason": verdict.reason,
            "threshold": verdict.threshold,
            "regions": [asdict(region) for region in self.finding.regions],
            "bundle": digest,
        }


@dataclass(frozen=True, slots=True)
class _Source:
    """A scan to read, or the error that listing its folder or zip met."""

    path: str
    parts: Sequence[Part]
    error: DecodeError | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """A scan as read, and prepared by the thread that read it; or the error that reading met."""

    path: str
    scan: DecodedScan | DecodeError
    prepared: PreparedScan | str = ""


def score_files(
    detector: Detector, paths: Iterable[Path], limits: DecodeLimits, workers: int
) -> Iterator[ScoredFile]:
    """Score every scan under the paths, in order; decoding runs in child processes beside it."""
    with open_decoders(workers, limits) as decode:

        def read(source: _Source) -> _Read:
            if source.error is not None:
                return _Read(source.path, source.error)
            try:
                scan = decode(source.parts)
            except DecodeError as error:
                return _Read(source.path, error)
            return _Read(source.path, scan, detector.prepare(scan))

        batch: list[_Read] = []
        for outcome in map_in_order(read, _list_sources(paths, limits), workers):
            batch.append(outcome)
            if _is_full(batch):
                yield from _score_batch(detector, batch)
                batch = []
        yield from _score_batch(detector, batch)


def _list_sources(paths: Iterable[Path], limits: DecodeLimits) -> Iterator[_Source]:
    for path in paths:
        is_empty = True
        try:
            for found in find_scans(path, limits):
                is_empty = False
                yield _Source(_name(found), found.parts)
            if is_empty:
                yield _Source(str(path), (), NoPixels("there is no scan in here"))
        except DecodeError as error:
            yield _Source(str(path), (), error)


def _name(found: ScanSource) -> str:
    """Give the path of a file; of a series or a zip's entry the label that tells where it lies."""
    first = found.parts[0]
    return str(first) if len(found.parts) == 1 and isinstance(first, Path) else found.label


def _is_full(batch: list[_Read]) -> bool:
    slices = sum(each.scan.slice_count for each in batch if isinstance(each.scan, DecodedScan))
    return len(batch) >= BATCH_SCANS or slices >= BATCH_SLICES


def _score_batch(detector: Detector, batch: list[_Read]) -> Iterator[ScoredFile]:
    read = [each.prepared for each in batch if isinstance(each.scan, DecodedScan)]
    findings = iter(detector.examine_prepared(read))
    for each in batch:
        if isinstance(each.scan, DecodedScan):
            yield ScoredFile(each.path, each.scan, next(findings), None)
        else:
            yield ScoredFile(each.path, None, None, each.scan)


def _code(error: DecodeError | None) -> str:
    return error.code if error is not None else ""
