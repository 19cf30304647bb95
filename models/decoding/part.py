"""One file of a scan, wherever it lies."""

from pathlib import Path

from models.decoding.archive import ZipPart
from models.decoding.frame_check import check_size
from models.decoding.limits import DecodeLimits
from models.decoding.sniff import HEAD_BYTES, sniff_format
from models.errors import CorruptScan, DecodeError

Part = Path | bytes | ZipPart


def read_part(part: Part, limits: DecodeLimits) -> bytes:
    """Give the bytes of one file, once their number was held against the limits.

    Raises:
        CorruptScan: the file cannot be opened.
        TooManyBytes: it is larger than allowed.
    """
    if isinstance(part, bytes):
        check_size(len(part), limits)
        return part
    if isinstance(part, ZipPart):
        check_size(part.limit, limits)
        return part.read()
    try:
        if not part.is_file():
            raise CorruptScan("there is no such file")
        check_size(part.stat().st_size, limits)
        return part.read_bytes()
    except (OSError, ValueError) as error:
        raise CorruptScan(f"the file cannot be opened ({type(error).__name__})") from error


def read_head(part: Part, limits: DecodeLimits) -> bytes:
    """Give the first bytes, enough to tell the format."""
    if not isinstance(part, Path):
        return read_part(part, limits)[:HEAD_BYTES]
    try:
        if not part.is_file():
            raise CorruptScan("there is no such file")
        with part.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except (OSError, ValueError) as error:
        raise CorruptScan(f"the file cannot be opened ({type(error).__name__})") from error


def is_bundled(part: Part, limits: DecodeLimits) -> bool:
    """Whether this is a folder or an archive, which may hold many files."""
    if isinstance(part, ZipPart):
        return False
    if isinstance(part, Path) and part.is_dir():
        return True
    try:
        return sniff_format(read_head(part, limits)) == "zip"
    except DecodeError:
        return False
