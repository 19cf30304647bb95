"""Bytes to the name of their format; the name of the file is never asked."""

import string
from typing import Literal

from models.errors import UnknownFormat

Format = Literal["dicom", "png", "jpeg", "tiff", "webp", "bmp", "nifti", "nifti_gz", "zip"]

HEAD_BYTES = 512

_MAGIC: tuple[tuple[int, bytes, Format], ...] = (
    (128, b"DICM", "dicom"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (0, b"II+\0", "tiff"),
    (0, b"MM\0+", "tiff"),
    (0, b"BM", "bmp"),
    (8, b"WEBP", "webp"),
    (344, b"n+1\0", "nifti"),
    (4, b"n+2\0", "nifti"),
    (0, b"\x1f\x8b", "nifti_gz"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"PK\x05\x06", "zip"),
)
_TEXT = frozenset(string.printable.encode())


def sniff_format(head: bytes) -> Format:
    """Tell the format from the first 512 bytes.

    Raises:
        UnknownFormat: no decoder knows them.
    """
    for offset, magic, name in _MAGIC:
        if head.startswith(magic, offset):
            return name
    if _starts_with_data_element(head):
        return "dicom"
    raise UnknownFormat(f"found {len(head)} bytes that begin like no format known here")


def is_text(head: bytes) -> bool:
    """Whether these first bytes are plain text, such as a readme or a table beside the scans."""
    return bool(head) and all(byte in _TEXT for byte in head)


def _starts_with_data_element(head: bytes) -> bool:
    """Whether a DICOM data set starts here without preamble: group 2 or 8, a low element."""
    little = head[:2] in {b"\x02\x00", b"\x08\x00"} and head[3:4] == b"\0"
    big = head[:2] == b"\x00\x08" and head[2:3] == b"\0"
    has_vr = head[4:6].isalpha() and head[4:6].isupper()
    has_short_length = head[6:8] == b"\0\0" and head[4:6] != b"\0\0"
    return len(head) >= 16 and (little or big) and (has_vr or (little and has_short_length))
