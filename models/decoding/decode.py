"""Bytes to a decoded scan: the first step of the road."""

from pathlib import Path

from models.decoding.limits import DecodeLimits
from models.decoding.part import read_part
from models.decoding.scan import DecodedScan
from models.decoding.series import decode_series, find_scans
from models.decoding.single import decode_single
from models.decoding.sniff import HEAD_BYTES, sniff_format
from models.errors import MixedSeries, NoPixels


def decode_scan(source: bytes | Path, limits: DecodeLimits) -> DecodedScan:
    """Decode one file, or a folder or zip that holds exactly one scan.

    Args:
        source: a file's bytes, or the path of a file or folder.
        limits: bounds, checked before memory is taken. Time and memory as a whole are bounded by
            `BoundedDecoder`, which untrusted bytes must go through.

    Raises:
        MixedSeries: a folder or zip holds several scans.
        DecodeError: the scan cannot be had.
    """
    if not isinstance(source, Path) or not source.is_dir():
        content = read_part(source, limits)
        if sniff_format(content[:HEAD_BYTES]) != "zip":
            return decode_single(content, limits)
    found = list(find_scans(source, limits))
    if not found:
        raise NoPixels("the folder or archive holds no scan")
    if len(found) > 1:
        raise MixedSeries(f"the folder or archive holds {len(found)} scans, expected one")
    return decode_series(found[0].parts, limits)
