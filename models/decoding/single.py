"""One file of any format to a decoded scan."""

from models.decoding.dicom import decode_dicom
from models.decoding.frame_check import check_size
from models.decoding.limits import DecodeLimits
from models.decoding.nifti import decode_nifti
from models.decoding.raster import decode_raster
from models.decoding.scan import DecodedScan
from models.decoding.sniff import HEAD_BYTES, sniff_format
from models.decoding.tiff import decode_tiff
from models.errors import UnknownFormat


def decode_single(content: bytes, limits: DecodeLimits) -> DecodedScan:
    """Decode one file that is no archive.

    Args:
        content: the file.
        limits: bounds, checked from the header.

    Raises:
        DecodeError: the scan cannot be had.
    """
    check_size(len(content), limits)
    kind = sniff_format(content[:HEAD_BYTES])
    if kind == "dicom":
        return decode_dicom(content, limits)
    if kind == "tiff":
        return decode_tiff(content, limits)
    if kind in {"nifti", "nifti_gz"}:
        return decode_nifti(content, limits, is_packed=kind == "nifti_gz")
    if kind == "zip":
        raise UnknownFormat("found an archive, expected one scan")
    return decode_raster(content, kind, limits)
