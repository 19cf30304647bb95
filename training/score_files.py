"""Files, folders, series and zips to lines of `aegle score`, whatever some of them hold."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from models.decoding.limits import DecodeLimits
from models.decoding.part import Part
from models.decoding.series import ScanSource, find_scans
from models.detector import Detector
from models.errors import DecodeError, NoPixels
from models.regions import Region
from models.verdict import Verdict
from training.pictures import write_picture
from training.scan_stream import Decode


@dataclass(frozen=True, slots=True)
class FileSource:
    """A scan to read, or the error that listing its folder or zip met."""

    path: str
    parts: Sequence[Part]
    error: DecodeError | None = None


@dataclass(frozen=True, slots=True)
class ScoredFile:
    """What came of one scan: a verdict under a bundle, or the error that kept it from being read.

    `bundle` is the digest; `sha256` and `bundle` are empty for a scan that was not read.
    """

    path: str
    sha256: str = ""
    bundle: str = ""
    verdict: Verdict | None = None
    regions: tuple[Region, ...] = ()
    error: DecodeError | None = None

    def to_json(self) -> dict[str, object]:
        """Give the fields of one line of `aegle score --json`."""
        if self.verdict is None:
            code = self.error.code if self.error is not None else ""
            return {"path": self.path, "error": {"code": code, "text": str(self.error)}}
        return {
            "path": self.path,
            "sha256": self.sha256,
            "score": self.verdict.score,
            "p_value": self.verdict.p_value,
            "verdict": self.verdict.label,
            "reason": self.verdict.reason,
            "threshold": self.verdict.threshold,
            "regions": [asdict(region) for region in self.regions],
            "bundle": self.bundle,
        }


def list_sources(
    paths: Iterable[Path], limits: DecodeLimits, passed_over: list[str] | None = None
) -> Iterator[FileSource]:
    """Find every scan under the paths, in order; what cannot be listed is one source too.

    Args:
        paths: files, folders, zips.
        limits: of what is listed.
        passed_over: takes the labels of files in folders and zips that are no scan.
    """
    for path in paths:
        is_empty = True
        try:
            for found in find_scans(path, limits, passed_over):
                is_empty = False
                yield FileSource(_name(found), found.parts)
            if is_empty:
                yield FileSource(str(path), (), NoPixels("there is no scan in here"))
        except DecodeError as error:
            yield FileSource(str(path), (), error)


def score_source(
    detector: Detector, decode: Decode, source: FileSource, pictures: Path | None
) -> ScoredFile:
    """Decode and score one scan.

    Args:
        detector: a loaded bundle.
        decode: gives the scan of the files; from `open_decoders`.
        source: the scan's files.
        pictures: folder for a picture of the scan, named by its SHA-256; None draws none.
    """
    if source.error is not None:
        return ScoredFile(source.path, error=source.error)
    try:
        scan = decode(source.parts)
    except DecodeError as error:
        return ScoredFile(source.path, error=error)
    (finding,) = detector.examine([scan])
    verdict = finding.verdict
    if pictures is not None:
        write_picture(finding, pictures / f"{scan.sha256[:16]}-{verdict.label}.png")
    return ScoredFile(source.path, scan.sha256, detector.digest, verdict, finding.regions)


def _name(found: ScanSource) -> str:
    """Give the path of a file; of a series or a zip's entry the label that tells where it lies."""
    first = found.parts[0]
    return str(first) if len(found.parts) == 1 and isinstance(first, Path) else found.label
