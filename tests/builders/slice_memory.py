"""How much memory the slice cache takes while it is written and read, for `make bench`."""

import gc
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from models.normalize import Frame, NormalizedScan
from training.dataset import SliceDataset
from training.slice_file import INDEX_NAME, PIXELS_NAME, SliceFile, SliceWriter, pack_scan

BATCH_SIZE = 64
READ_SLICES = 6_400


@dataclass(frozen=True)
class MemoryUse:
    """Growth of this process's resident memory for a cache of so many slices, in bytes."""

    slices: int
    written_bytes: int
    read_bytes: int


def measure_slice_memory(folder: Path, slices: int, size_px: int = 64) -> MemoryUse:
    """Write a cache of made-up slices, then read batches from all over it, and measure the growth.

    At 64 px, 100,000 slices take 0.9 GB of disk under `folder`.
    """
    scan = _make_scan(size_px)
    before = _read_resident_bytes()
    writer = SliceWriter(folder / f"{slices}.partial", size_px)
    for number in range(slices):
        writer.append(pack_scan(str(number), scan, 0.0))
    writer.finish(folder / str(slices))
    del writer
    written = _read_resident_bytes()
    _read_batches(folder / str(slices), slices, size_px)
    return MemoryUse(slices, written - before, _read_resident_bytes() - written)


def _read_batches(folder: Path, slices: int, size_px: int) -> None:
    index = np.load(folder / INDEX_NAME, allow_pickle=False)
    file = SliceFile(folder / PIXELS_NAME, size_px)
    wanted = np.linspace(0, slices - 1, READ_SLICES).astype(np.int64)
    for image, foreground in DataLoader(SliceDataset(file, wanted, index), BATCH_SIZE):
        if not (image.shape[0] == foreground.shape[0] <= BATCH_SIZE):
            raise RuntimeError(f"read {image.shape[0]} slices, expected at most {BATCH_SIZE}")


def _make_scan(size_px: int) -> NormalizedScan:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((1, 1, size_px, size_px), generator=generator)
    frame = Frame(size_px, size_px, 0, 0, size_px, size_px, size_px)
    return NormalizedScan(image, image > 0.5, frame, (0.0, 1.0))


def _read_resident_bytes() -> int:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
