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
from models.reconstruct import fixed_threads
from training.scan_stream import Decode, map_in_order


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


def score_files(
    detector: Detector,
    paths: Iterable[Path],
    limits: DecodeLimits,
    decode: Decode,
    workers: int,
) -> Iterator[ScoredFile]:
    """Score every scan under the paths, in order, as many at once as there are workers.

    Args:
        detector: a loaded bundle.
        paths: files, folders, zips.
        limits: of what is listed.
        decode: from `open_decoders`, with as many decoders as there are workers.
        workers: threads; none lets torch start threads of its own, which would only get in each
            other's way.
    """

    def score(source: _Source) -> ScoredFile:
        if source.error is not None:
            return ScoredFile(source.path, None, None, source.error)
        try:
            scan = decode(source.parts)
        except DecodeError as error:
            return ScoredFile(source.path, None, None, error)
        return ScoredFile(source.path, scan, detector.examine([scan])[0], None)

    with fixed_threads():
        yield from map_in_order(score, _list_sources(paths, limits), workers)


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


def _code(error: DecodeError | None) -> str:
    return error.code if error is not None else ""
