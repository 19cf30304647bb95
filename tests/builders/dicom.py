"""DICOM files made in memory, well formed or not."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
)

SERIES_UID = "1.2.826.0.1.3680043.8.498.1"
AXIAL = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def read_bundled(name: str) -> bytes:
    """Read a test file that lies in pydicom's wheel."""
    path = get_testdata_file(name, download=False)
    if path is None:
        raise FileNotFoundError(name)
    with open(path, "rb") as stream:  # noqa: PTH123 - pydicom gives a string
        return stream.read()


def make_ramp(rows: int = 8, columns: int = 6, frames: int = 1) -> NDArray[np.uint16]:
    """Make uint16 [H, W], or [S, H, W] for several frames; no two pixels of it are equal."""
    count = rows * columns * frames
    shape = (frames, rows, columns) if frames > 1 else (rows, columns)
    return np.arange(count, dtype=np.uint16).reshape(shape)


def make_dataset(pixels: NDArray[Any], **attributes: Any) -> Dataset:
    """Make the data set of a CT slice; attributes of None are left out.

    Args:
        pixels: uint or int [H, W], [S, H, W], or uint8 [H, W, 3].
        attributes: DICOM keywords that are added or replaced.
    """
    is_color = pixels.ndim == 3 and pixels.shape[2] == 3
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"{SERIES_UID}.{zlib.crc32(pixels.tobytes())}"
    dataset.SeriesInstanceUID = SERIES_UID
    dataset.Modality = "CT"
    dataset.Rows, dataset.Columns = pixels.shape[-3:-1] if is_color else pixels.shape[-2:]
    dataset.SamplesPerPixel = 3 if is_color else 1
    dataset.PhotometricInterpretation = "RGB" if is_color else "MONOCHROME2"
    dataset.BitsAllocated = pixels.dtype.itemsize * 8
    dataset.BitsStored = attributes.pop("BitsStored", dataset.BitsAllocated)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    if is_color:
        dataset.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        dataset.NumberOfFrames = pixels.shape[0]
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def write_dataset(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Give the file of a data set."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", CTImageStorage)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3")
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def build_dicom(pixels: NDArray[Any], **attributes: Any) -> bytes:
    """Give the file of a native CT slice."""
    return write_dataset(make_dataset(pixels, **attributes))


def build_slice(position_mm: float, value: int = 0, **attributes: Any) -> bytes:
    """Give an axial CT slice of one value at a height."""
    geometry = {
        "ImageOrientationPatient": AXIAL,
        "ImagePositionPatient": [0.0, 0.0, position_mm],
        "PixelSpacing": [0.5, 0.5],
    }
    return build_dicom(np.full((8, 6), value, dtype=np.uint16), **{**geometry, **attributes})


def build_encoded(frames: list[bytes], syntax: str, **attributes: Any) -> bytes:
    """Give a file whose encapsulated frames are these bytes, whatever the header says of them."""
    header = {"NumberOfFrames": len(frames), **attributes}
    dataset = make_dataset(make_ramp(), **header)
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    return write_dataset(dataset, syntax)


def build_deflated_bomb(inflated_bytes: int) -> bytes:
    """Give a deflated file that inflates to this many zeros and more."""
    plain = build_dicom(make_ramp())
    meta_end = plain.index(b"\x08\x00\x16\x00")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, inflated_bytes) + bytes(inflated_bytes)
    packed = packer.compress(zeros) + packer.flush()
    explicit = ExplicitVRLittleEndian.encode()
    start = plain.index(explicit)
    deflated = DeflatedExplicitVRLittleEndian.encode()
    length = struct.pack("<H", len(deflated))
    end = start + len(explicit) + len(explicit) % 2
    return plain[: start - 2] + length + deflated + plain[end:meta_end] + packed


def build_nested(depth: int) -> bytes:
    """Give a file with sequences of undefined length nested this deep."""
    opening = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closing = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    plain = build_dicom(make_ramp())
    split = plain.index(b"\x20\x00\x0e\x00")
    return plain[:split] + opening * depth + closing * depth + plain[split:]
