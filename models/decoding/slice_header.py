"""What the header of a DICOM file says about the series it belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import FileDataset

from models.decoding.dicom_dataset import read_dicom
from models.decoding.dicom_geometry import read_placement
from models.decoding.foreign import translate_foreign
from models.decoding.limits import DecodeLimits
from models.decoding.sniff import HEAD_BYTES, sniff_format

# What tells stacks of one series apart that lie in the same place: echoes, phases, repetitions.
_STACK_KEYWORDS = (
    "EchoNumbers",
    "EchoTime",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "DiffusionBValue",
    "ImageType",
)


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One slice among others.

    `series` is the UID, for comparing only; `stack` tells stacks inside of a series apart;
    `position_mm` lies along the slice normal, `direction` is that normal, rounded; both are None
    where the file holds several frames or tells no position.
    """

    series: str
    stack: tuple[str, ...]
    size: tuple[int, int]
    direction: tuple[float, ...] | None
    position_mm: float | None
    instance: int


def read_slice_header(content: bytes, limits: DecodeLimits) -> SliceHeader | None:
    """Read the header of a DICOM file, None for a file of another format.

    Raises:
        DecodeError: the header cannot be read.
    """
    if sniff_format(content[:HEAD_BYTES]) != "dicom":
        return None
    dataset = read_dicom(content, limits, with_pixels=False).dataset
    with translate_foreign("the DICOM header"):
        return build_slice_header(dataset)


def build_slice_header(dataset: FileDataset) -> SliceHeader:
    """Take from a data set what tells its slice from others."""
    is_slice = int(dataset.get("NumberOfFrames") or 1) == 1
    placement = read_placement(dataset, 1, []) if is_slice else None
    direction, position = None, None
    if placement is not None:
        normal = np.cross(placement.row_direction, placement.column_direction)
        direction = tuple(float(value) for value in normal.round(2) + 0.0)
        position = round(placement.slice_positions_mm[0], 3)
    return SliceHeader(
        series=str(dataset.get("SeriesInstanceUID") or ""),
        stack=tuple(str(dataset.get(keyword, "")) for keyword in _STACK_KEYWORDS),
        size=(int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)),
        direction=direction,
        position_mm=position,
        instance=int(dataset.get("InstanceNumber") or 0),
    )


def group_slices(headers: Sequence[SliceHeader]) -> list[list[int]]:
    """Give the indexes of the headers that make one scan each, slices of a stack together.

    A file without a position, or of several frames, is a scan of its own. A series is split only
    where slices share a position, such as echoes or phases do.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, header in enumerate(headers):
        lone = index if header.position_mm is None else None
        groups.setdefault((header.series, header.size, header.direction, lone), []).append(index)
    return [stack for members in groups.values() for stack in _split_stacks(headers, members)]


def _split_stacks(headers: Sequence[SliceHeader], members: list[int]) -> list[list[int]]:
    if len({headers[index].position_mm for index in members}) == len(members):
        return [members]
    stacks: dict[tuple[str, ...], list[int]] = {}
    for index in members:
        stacks.setdefault(headers[index].stack, []).append(index)
    return list(stacks.values())
