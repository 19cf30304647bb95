"""Encoded DICOM frames to stored values (PS3.3 C.7.6.3, PS3.5 8), before any transformation."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from models.decoding.dicom_layout import PixelLayout
from models.decoding.foreign import translate_foreign
from models.errors import CorruptScan


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One frame as it is stored.

    `values`: integer or float [H, W] or [H, W, 3], stored values; `photometric` is what they
    mean now, which for some codecs differs from what the header says.
    """

    values: NDArray[np.generic]
    photometric: str


def iterate_stored_frames(dataset: FileDataset, layout: PixelLayout) -> Iterator[StoredFrame]:
    """Decode frame by frame, so that only one is held in memory besides what the caller keeps.

    Raises:
        DecodeError: the frames cannot be decoded, or are fewer than declared.
    """
    found = 0
    with translate_foreign("the DICOM pixels"):
        for frame in islice(_iterate_frames(dataset), layout.frames):
            found += 1
            yield frame
    if found < layout.frames:
        raise CorruptScan(f"holds {found} frames, {layout.frames} are declared")


def _iterate_frames(dataset: FileDataset) -> Iterator[StoredFrame]:
    decoder = get_decoder(UID(dataset.file_meta.TransferSyntaxUID))
    for values, properties in decoder.iter_array(dataset, raw=True):
        yield StoredFrame(values, str(properties["photometric_interpretation"]))
