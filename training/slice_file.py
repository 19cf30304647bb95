"""Normalized slices as records of one flat file, read without growth of memory.

A record is one slice: uint16 [H, W], 0..65535 for 0..1, then its foreground, one bit a pixel. The
rounding error is at most 1 / 131070 = 7.6e-6 of the intensity window. Only fitting reads the cache;
scores are always computed from the scan's own pixels.

While it is written the folder is called `<key>.partial` and keeps a journal with one line a scan,
so that an unfinished cache goes on where it stopped; a finished one is renamed to `<key>`.
"""

import json
import os
import weakref
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.normalize import NormalizedScan

PIXELS_NAME = "slices.bin"
INDEX_NAME = "index.npy"
UNREAD_NAME = "unread.json"
JOURNAL_NAME = "journal.jsonl"

_LEVELS = np.float32(65535.0)
# So many scans are made safe on disk together; a kill loses no more of them.
_SCANS_A_COMMIT = 64


@dataclass(frozen=True, slots=True)
class UnreadScan:
    """A scan that gave no slices, and the code word of the error that says why."""

    index: int
    name: str
    code: str


@dataclass(frozen=True, slots=True)
class PackedScan:
    """The records of one scan that are worth keeping.

    `slices`: numbers of the kept slices. `unread`: code word of the error where there are none.
    """

    name: str
    slices: tuple[int, ...]
    records: bytes
    unread: str | None = None


def pack_scan(name: str, scan: NormalizedScan, minimum_foreground_share: float) -> PackedScan:
    """Turn the slices whose foreground is large enough into records."""
    foreground = scan.foreground[:, 0].numpy()
    kept = np.flatnonzero(foreground.mean(axis=(1, 2)) >= minimum_foreground_share)
    levels = np.rint(scan.image[:, 0].numpy() * _LEVELS).astype("<u2")
    records = b"".join(
        levels[index].tobytes() + np.packbits(foreground[index]).tobytes() for index in kept
    )
    return PackedScan(name, tuple(int(index) for index in kept), records)


class SliceWriter:
    """Appends scans to an unfinished cache; goes on after the last one that is safe on disk."""

    def __init__(self, folder: Path, size_px: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._record_bytes = count_record_bytes(size_px)
        self._index = array("i")
        self._unread: list[dict[str, str | int]] = []
        self._waiting: list[str] = []
        self._scan_count = 0
        self._pixels = (folder / PIXELS_NAME).open("ab")
        self._lines = (folder / JOURNAL_NAME).open("ab")
        self._resume()

    @property
    def scan_count(self) -> int:
        """How many scans have been written."""
        return self._scan_count

    @property
    def unread_count(self) -> int:
        """How many of them gave no slices because they could not be read."""
        return len(self._unread)

    def append(self, scan: PackedScan) -> None:
        """Write the next scan."""
        self._pixels.write(scan.records)
        line = {"name": scan.name, "slices": list(scan.slices), "unread": scan.unread}
        self._waiting.append(json.dumps(line) + "\n")
        self._note(line)
        if len(self._waiting) >= _SCANS_A_COMMIT:
            self._commit()

    def finish(self, target: Path) -> None:
        """Write the index and give the folder its final name."""
        self.close()
        index = np.array(self._index, dtype=np.int32).reshape(-1, 2)
        np.save(self._folder / INDEX_NAME, index)
        (self._folder / UNREAD_NAME).write_text(json.dumps(self._unread), encoding="utf-8")
        (self._folder / JOURNAL_NAME).unlink()
        self._folder.replace(target)

    def close(self) -> None:
        """Make everything safe on disk."""
        if not self._pixels.closed:
            self._commit()
            self._pixels.close()
            self._lines.close()

    def _resume(self) -> None:
        """Cut both files back to what the journal promises whole."""
        whole_bytes = 0
        with (self._folder / JOURNAL_NAME).open("rb") as lines:
            for text in lines:
                if text.endswith(b"\n"):
                    whole_bytes += len(text)
                    self._note(json.loads(text))
        self._lines.truncate(whole_bytes)
        self._pixels.truncate(len(self._index) // 2 * self._record_bytes)

    def _note(self, line: dict[str, Any]) -> None:
        for number in line["slices"]:
            self._index.extend((self._scan_count, number))
        if line["unread"]:
            unread = {"index": self._scan_count, "name": line["name"], "code": line["unread"]}
            self._unread.append(unread)
        self._scan_count += 1

    def _commit(self) -> None:
        """Make the pixels safe first, so that the journal never promises what is not there."""
        self._pixels.flush()
        os.fsync(self._pixels.fileno())
        self._lines.write("".join(self._waiting).encode())
        self._lines.flush()
        os.fsync(self._lines.fileno())
        self._waiting = []


class SliceFile:
    """Reads records by their place in the file; may be shared by processes."""

    def __init__(self, path: Path, size_px: int) -> None:
        self._path = path
        self._size_px = size_px
        self._record_bytes = count_record_bytes(size_px)
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def __reduce__(self) -> tuple[type["SliceFile"], tuple[Path, int]]:
        return SliceFile, (self._path, self._size_px)

    def read(self, indices: Iterable[int]) -> tuple[Tensor, Tensor]:
        """Read some slices.

        Returns:
            image: float32 [B, 1, H, W], 0..1, share of the intensity window.
            foreground: bool [B, 1, H, W]; True inside the body.
        """
        size, pixels = self._size_px, self._size_px**2
        # pread keeps the file out of the process's memory; a mapping would grow with every page.
        records = np.stack(
            [
                np.frombuffer(
                    os.pread(self._descriptor, self._record_bytes, index * self._record_bytes),
                    dtype=np.uint8,
                )
                for index in indices
            ]
        )
        levels = records[:, : 2 * pixels].copy().view("<u2")
        image = np.divide(levels, _LEVELS, dtype=np.float32).reshape(-1, 1, size, size)
        bits = np.unpackbits(records[:, 2 * pixels :], axis=1, count=pixels)
        foreground = bits.reshape(-1, 1, size, size).view(np.bool_)
        return torch.from_numpy(image), torch.from_numpy(foreground)


def count_record_bytes(size_px: int) -> int:
    """Count the bytes of one slice on disk."""
    return 2 * size_px**2 + -(-(size_px**2) // 8)
