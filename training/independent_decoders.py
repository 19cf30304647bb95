"""Stored values of a DICOM file as the tools of DCMTK and GDCM read them, to compare with ours."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRBigEndian

from models.decoding.foreign import translate_foreign
from models.errors import DecodeError

TOOL_TIMEOUT_S = 60.0
# Each writes its second file native; +cn keeps the colour space, as stored values do.
_TOOLS = (
    ("dcmdjpeg", "+cn"),
    ("dcmdjpls",),
    ("dcmdrle",),
    ("gdcmconv", "--raw"),
    ("dcmconv", "+te"),
)


def find_tools() -> list[str]:
    """Give the names of the tools that are installed."""
    return [tool[0] for tool in _TOOLS if _find_tool(tool[0])]


def read_by_others(path: Path) -> Iterator[NDArray[np.int64]]:
    """Give what each tool that can read the file makes of it.

    Each reading comes as it is and with the bits above Bits Stored cut off, which old files use
    for overlays.

    Args:
        path: a DICOM file.

    Returns:
        int64 [S, H, W] or [S, H, W, C], stored values; one after the other.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, *options in _TOOLS:
            native = Path(folder) / f"{name}.dcm"
            tool = _find_tool(name)
            if tool is None or not _run([tool, *options, str(path), str(native)], native):
                continue
            try:
                with translate_foreign("the tool's output"):
                    yield from _read_native(pydicom.dcmread(native, force=True))
            except DecodeError:
                continue


def _find_tool(name: str) -> str | None:
    beside_python = Path(sys.executable).parent / name
    return str(beside_python) if beside_python.exists() else shutil.which(name)


def _run(command: list[str], result: Path) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - a tool that was found on this machine
            command, capture_output=True, timeout=TOOL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0 and result.exists()


def _read_native(dataset: FileDataset) -> Iterator[NDArray[np.int64]]:
    """Read native pixels without pydicom's own decoders."""
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    frames = int(dataset.get("NumberOfFrames") or 1)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    count = rows * columns * frames * samples
    if allocated == 1:
        packed = np.frombuffer(dataset.PixelData, dtype=np.uint8)
        values = np.unpackbits(packed, bitorder="little").astype(np.int64)
    else:
        order = ">" if dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
        kind = "i" if dataset.PixelRepresentation else "u"
        dtype = f"{order}{kind}{allocated // 8}"
        values = np.frombuffer(dataset.PixelData, dtype=dtype).astype(np.int64)
    values = _shape(values[:count], (frames, rows, columns, samples), dataset)
    yield values
    if stored < allocated:
        cut = values & ((1 << stored) - 1)
        sign = 1 << (stored - 1)
        yield np.where(cut >= sign, cut - 2 * sign, cut) if dataset.PixelRepresentation else cut


def _shape(
    values: NDArray[np.int64], shape: tuple[int, int, int, int], dataset: FileDataset
) -> NDArray[np.int64]:
    """Give [S, H, W] or [S, H, W, C] of flat values, whichever way the samples are laid out."""
    frames, rows, columns, samples = shape
    if samples == 1:
        return values.reshape(frames, rows, columns)
    if dataset.get("PlanarConfiguration"):
        return values.reshape(frames, samples, rows, columns).transpose(0, 2, 3, 1)
    return values.reshape(shape)
