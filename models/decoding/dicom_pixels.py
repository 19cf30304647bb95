"""Encoded DICOM frames to stored values (PS3.3 C.7.6.3, PS3.5 8), before any transformation."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from models.decoding.dicom_codecs import StoredFrame, build_options, decode_frame
from models.decoding.dicom_dataset import read_dicom
from models.decoding.dicom_layout import PixelLayout, read_layout
from models.decoding.foreign import translate_foreign
from models.decoding.limits import DecodeLimits
from models.errors import CorruptScan

_PACKED_BITS = 12


def iterate_stored_frames(dataset: FileDataset, layout: PixelLayout) -> Iterator[StoredFrame]:
    """Decode frame by frame, so that only one is held in memory besides what the caller keeps.

    Raises:
        DecodeError: the frames cannot be decoded, or are fewer than declared.
    """
    found = 0
    frames = _iterate_encoded if layout.is_encapsulated else _iterate_native
    with translate_foreign("the DICOM pixels"):
        for frame in islice(frames(dataset, layout), layout.frames):
            found += 1
            yield frame
    if found < layout.frames:
        raise CorruptScan(f"holds {found} frames, {layout.frames} are declared")


def decode_stored_values(content: bytes, limits: DecodeLimits) -> tuple[StoredFrame, ...]:
    """Decode a file no further than `decode_dicom` holds stored values, to compare decoders.

    Args:
        content: a DICOM file.
        limits: bounds, checked from the header.
    """
    dataset = read_dicom(content, limits, with_pixels=True).dataset
    return tuple(iterate_stored_frames(dataset, read_layout(dataset, limits)))


def _iterate_native(dataset: FileDataset, layout: PixelLayout) -> Iterator[StoredFrame]:
    if layout.bits_allocated == _PACKED_BITS:
        yield from _unpack_12_bits(dataset.PixelData, layout)
        return
    decoder = get_decoder(UID(layout.syntax))
    options = build_options(layout, frames=layout.frames)
    source = dataset[layout.keyword].value
    for values, properties in decoder.iter_array(source, raw=True, **options):
        yield StoredFrame(values, str(properties["photometric_interpretation"]))


def _iterate_encoded(dataset: FileDataset, layout: PixelLayout) -> Iterator[StoredFrame]:
    offsets = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    frames = generate_frames(
        dataset.PixelData,
        number_of_frames=layout.frames,
        extended_offsets=(offsets[0], offsets[1]) if all(offsets) else None,
    )
    for frame in frames:
        yield decode_frame(frame, layout)


def _unpack_12_bits(packed: bytes, layout: PixelLayout) -> Iterator[StoredFrame]:
    """Unpack two pixels from three bytes, retired but still met (PS3.5 8.1.1)."""
    count = layout.rows * layout.columns
    for index in range(layout.frames):
        frame = np.frombuffer(packed, np.uint8, layout.frame_bytes, index * layout.frame_bytes)
        low, middle, high = frame.reshape(-1, 3).astype(np.uint16).T
        values = np.stack([low | (middle & 15) << 8, middle >> 4 | high << 4], axis=1).ravel()
        yield StoredFrame(values[:count].reshape(layout.rows, layout.columns), layout.photometric)
