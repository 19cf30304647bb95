"""DICOM bytes to a data set, inflated and nested no further than the limits allow."""

import io
import struct
import zlib
from dataclasses import dataclass

import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from models.decoding.foreign import translate_foreign
from models.decoding.inflate import inflate
from models.decoding.limits import DecodeLimits
from models.errors import CorruptScan, NestedTooDeep, NoPixels

_PREAMBLE_BYTES = 132
# PS3.10 7.1 leaves 128 bytes to whoever wants them; TIFF lives there by right. Programs (Windows,
# Linux, macOS, scripts), pages, documents and archives do not (CVE-2019-11687).
_FOREIGN_STARTS = (
    b"MZ", b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe",
    b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!", b"<", b"%PDF", b"%!", b"PK", b"\x1f\x8b",
)  # fmt: skip
_LONG_VRS = {b"OB", b"OW", b"UN", b"SQ", b"UT", b"OF", b"OD", b"OL", b"OV", b"UC", b"UR"}
_SEQUENCE_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
_TRANSFER_SYNTAX_TAG = 0x00020010


@dataclass(frozen=True, slots=True)
class DicomFile:
    """A data set that was read, and what had to be assumed to read it."""

    dataset: FileDataset
    notes: tuple[str, ...]


def read_dicom(content: bytes, limits: DecodeLimits, *, with_pixels: bool) -> DicomFile:
    """Read one DICOM file, with or without preamble.

    Args:
        content: the file.
        limits: bounds of inflation and nesting.
        with_pixels: false stops before the pixels, to sort or to list files.

    Returns:
        `dataset`: one whose `file_meta.TransferSyntaxUID` is always set; a deflated one has become
        Explicit VR Little Endian.

    Raises:
        NoPixels: it is a DICOMDIR.
        DecodeError: it cannot be read within the limits.
    """
    if content.startswith(_FOREIGN_STARTS):
        raise CorruptScan("the preamble begins another kind of file, such as a program")
    with translate_foreign("the DICOM file"):
        plain = inflate_dataset(content, limits)
        notes: tuple[str, ...] = ()
        dataset = _parse(plain, with_pixels=with_pixels)
        if not len(dataset) and with_pixels:
            # pydicom gives up all it has read where the very last delimiter is missing.
            dataset = _parse(plain + _SEQUENCE_DELIMITER, with_pixels=True)
            notes = ("the end of the file is missing",)
        _check_depth(dataset, limits.max_depth)
        _settle_transfer_syntax(dataset)
        if dataset.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
            raise NoPixels("found a DICOMDIR, which lists scans and holds none")
        return DicomFile(dataset, notes)


def find_transfer_syntax(head: bytes) -> str | None:
    """Give the transfer syntax from the first bytes of a file, None where they do not tell it."""
    found = _find_transfer_syntax(head)
    if found is None:
        return None
    return head[found[0] : found[1]].strip(b"\0 ").decode("ascii", "replace")


def _parse(content: bytes, *, with_pixels: bool) -> FileDataset:
    return pydicom.dcmread(io.BytesIO(content), force=True, stop_before_pixels=not with_pixels)


def inflate_dataset(content: bytes, limits: DecodeLimits) -> bytes:
    """Give the file unchanged, or with its deflated data set inflated up to the limit.

    Raises:
        TooManyBytes: it inflates to more than the limits allow.
        CorruptScan: the deflated stream is broken.
    """
    found = _find_transfer_syntax(content)
    if found is None or content[found[0] : found[1]].strip(b"\0 ") != (
        DeflatedExplicitVRLittleEndian.encode()
    ):
        return content
    start, end, body = found
    explicit = ExplicitVRLittleEndian.encode().ljust(end - start, b"\0")
    inflated = inflate(content[body:], -zlib.MAX_WBITS, limits.max_inflated_bytes)
    return b"".join((content[:start], explicit, content[end:body], inflated))


def _find_transfer_syntax(content: bytes) -> tuple[int, int, int] | None:
    """Find the Transfer Syntax UID: (start, end) of its value, and where the data set begins.

    The meta group is always Explicit VR Little Endian (PS3.10 7.1).
    """
    if content[128:132] != b"DICM":
        return None
    offset, value = _PREAMBLE_BYTES, (0, 0)
    while content[offset : offset + 2] == b"\x02\x00":
        group, element = struct.unpack_from("<HH", content, offset)
        if content[offset + 4 : offset + 6] in _LONG_VRS:
            (length,) = struct.unpack_from("<I", content, offset + 8)
            start = offset + 12
        else:
            (length,) = struct.unpack_from("<H", content, offset + 6)
            start = offset + 8
        offset = start + length
        if (group << 16 | element) == _TRANSFER_SYNTAX_TAG:
            value = (start, offset)
    return (*value, offset) if value[1] else None


def _check_depth(dataset: Dataset, max_depth: int) -> None:
    """Refuse sequences nested too deep, without reading those that nobody has asked for yet."""
    waiting: list[tuple[Dataset, int]] = [(dataset, 0)]
    while waiting:
        found, depth = waiting.pop()
        if depth > max_depth:
            raise NestedTooDeep(f"sequences are nested deeper than {max_depth}")
        for element in found.values():
            if isinstance(element, DataElement) and element.VR == "SQ" and element.value:
                waiting.extend((item, depth + 1) for item in element.value)


def _settle_transfer_syntax(dataset: FileDataset) -> None:
    """Set the transfer syntax where the meta group lacks it, from how the file was read."""
    if "TransferSyntaxUID" in dataset.file_meta:
        return
    is_implicit, is_little_endian = dataset.original_encoding
    syntax: UID = ExplicitVRLittleEndian if is_little_endian else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else syntax
