"""Attributes of a frame, wherever the file keeps them (PS3.3 C.7.6.16)."""

from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset


def iterate_homes(
    dataset: Dataset, frame: int, macro: str, *, with_root: bool = True
) -> Iterator[Dataset]:
    """Give the data sets that may hold an attribute of a frame, the most specific one first.

    Args:
        dataset: the whole file.
        frame: index of the frame.
        macro: keyword of the functional group's sequence, such as PixelMeasuresSequence.
        with_root: whether the file's top level counts.
    """
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    groups = [per_frame[frame]] if frame < len(per_frame) else []
    groups += list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
    for group in groups:
        items = group.get(macro)
        if items:
            yield items[0]
    if with_root:
        yield dataset


def find_value(dataset: Dataset, frame: int, macro: str, keyword: str) -> Any:  # noqa: ANN401 - whatever the file holds
    """Give an attribute of a frame, None where no home of it has a value."""
    for home in iterate_homes(dataset, frame, macro):
        value = home.get(keyword)
        if value is not None and value != "":
            return value
    return None


def find_floats(dataset: Dataset, frame: int, macro: str, keyword: str) -> tuple[float, ...] | None:
    """Give an attribute of a frame as numbers, None where it is absent or holds no numbers."""
    value = find_value(dataset, frame, macro, keyword)
    if value is None:
        return None
    parts = [value] if isinstance(value, str | int | float) else list(value)
    try:
        return tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        return None
