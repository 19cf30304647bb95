"""Frames of a stored object as they are encoded, without decoding them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from app.dicom.errors import FrameNotFound
from models.decoding.dicom_dataset import read_dicom
from models.decoding.dicom_layout import PixelLayout, read_layout
from models.decoding.foreign import translate_foreign
from models.decoding.limits import DecodeLimits

_NATIVE = ExplicitVRLittleEndian
_BYTE_BITS = 8


def read_frames(
    content: bytes, numbers: Sequence[int], limits: DecodeLimits
) -> tuple[str, list[bytes]]:
    """Give frames, and the transfer syntax they are in; what is native becomes little endian.

    Args:
        content: a DICOM file.
        numbers: of the frames, counted from 1.
        limits: bounds of reading.

    Raises:
        FrameNotFound: the object has no such frame.
        DecodeError: it cannot be read, or holds no pixels.
    """
    dataset = read_dicom(content, limits, with_pixels=True).dataset
    layout = read_layout(dataset, limits)
    if not numbers or min(numbers) < 1 or max(numbers) > layout.frames:
        raise FrameNotFound
    with translate_foreign("the DICOM frames"):
        if layout.is_encapsulated:
            return layout.syntax, [_take_encoded(dataset, layout, each - 1) for each in numbers]
        return _NATIVE, [_take_native(dataset, layout, each - 1) for each in numbers]


def read_colors(content: bytes, number: int, limits: DecodeLimits) -> NDArray[np.uint8] | None:
    """Give a frame that is kept as plain colours: uint8 [H, W, 3]; None for every other.

    Raises:
        FrameNotFound: the object has no such frame.
        DecodeError: it cannot be read, or holds no pixels.
    """
    layout = read_layout(read_dicom(content, limits, with_pixels=True).dataset, limits)
    is_plain = layout.photometric == "RGB" and layout.samples == 3 and not layout.is_planar
    if not is_plain or layout.is_encapsulated or layout.bits_allocated != _BYTE_BITS:
        return None
    _, (frame,) = read_frames(content, [number], limits)
    shape = (layout.rows, layout.columns, layout.samples)
    return np.frombuffer(frame, dtype=np.uint8)[: int(np.prod(shape))].reshape(shape)


def _take_encoded(dataset: FileDataset, layout: PixelLayout, index: int) -> bytes:
    offsets = None
    if "ExtendedOffsetTable" in dataset:
        offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    return get_frame(
        dataset.PixelData, index, number_of_frames=layout.frames, extended_offsets=offsets
    )


def _take_native(dataset: FileDataset, layout: PixelLayout, index: int) -> bytes:
    whole = bytes(dataset[layout.keyword].value)
    bits = layout.rows * layout.columns * layout.samples * layout.bits_allocated
    if layout.photometric == "YBR_FULL_422":
        bits = bits // 3 * 2  # two pixels share their colour (PS3.3 C.7.6.3.1.2)
    if bits % _BYTE_BITS:
        return _cut_bits(whole, index * bits, bits)
    size = bits // _BYTE_BITS
    frame = whole[index * size : (index + 1) * size]
    if layout.syntax == ExplicitVRBigEndian and layout.bits_allocated > _BYTE_BITS:
        return np.frombuffer(frame, dtype=f">u{layout.bits_allocated // 8}").byteswap().tobytes()
    return frame


def _cut_bits(whole: bytes, start: int, count: int) -> bytes:
    """Cut a frame of bits that begins or ends inside a byte (PS3.5 8.1.1)."""
    first, last = start // _BYTE_BITS, -(-(start + count) // _BYTE_BITS)
    bits = np.unpackbits(np.frombuffer(whole[first:last], dtype=np.uint8), bitorder="little")
    return np.packbits(bits[start % 8 : start % 8 + count], bitorder="little").tobytes()
