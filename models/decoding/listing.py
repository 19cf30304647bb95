"""The files that a path, a folder or a zip holds."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from models.decoding.archive import list_entries
from models.decoding.limits import DecodeLimits
from models.decoding.part import Part, read_head, read_part
from models.decoding.sniff import Format, is_text, sniff_format
from models.errors import NestedTooDeep, TooManyFrames, UnknownFormat

_SIDE_FILES = {"DICOMDIR", "THUMBS.DB"}
MOST_NAMED = 20


def list_parts(
    source: Path | bytes, limits: DecodeLimits, passed_over: list[str] | None = None
) -> Iterator[tuple[str, Part]]:
    """Give the label and the bytes of each file, zips opened, side files passed over.

    Args:
        source: a file, a folder, or the bytes of a file.
        limits: bounds of the number of files, of inflation and of zips in zips.
        passed_over: takes the labels of side files.

    Raises:
        DecodeError: the folder or a zip cannot be listed.
    """
    label = str(source) if isinstance(source, Path) else "scan"
    passed_over = [] if passed_over is None else passed_over
    if isinstance(source, Path) and source.is_dir():
        files = sorted(path for path in source.rglob("*") if path.is_file())
        if len(files) > limits.max_files:
            raise TooManyFrames(f"holds {len(files)} files, the limit is {limits.max_files}")
        for path in files:
            yield from _look_inside(str(path), path, limits, passed_over, is_listed=True)
    else:
        yield from _look_inside(label, source, limits, passed_over, is_listed=False)


def is_side_file(label: str, head: bytes) -> bool:
    """Whether a file of a folder or zip is passed over: hidden, plain text, DICOMDIR."""
    parts = label.replace("\\", "/").replace(":", "/").split("/")
    is_hidden = parts[-1].startswith(".") or "__MACOSX" in parts
    return is_hidden or parts[-1].upper() in _SIDE_FILES or is_text(head)


def describe_passed_over(labels: Sequence[str]) -> str:
    """Say how many files were passed over, and name the first of them."""
    more = [f"and {len(labels) - MOST_NAMED} more"] if len(labels) > MOST_NAMED else []
    count = "1 file was" if len(labels) == 1 else f"{len(labels)} files were"
    return f"{count} passed over as no scan: {', '.join([*labels[:MOST_NAMED], *more])}"


def write_passed_over(labels: Sequence[str]) -> dict[str, object]:
    """Give the same as fields of a line of JSON."""
    return {"passed_over": {"count": len(labels), "paths": list(labels[:MOST_NAMED])}}


def _look_inside(
    label: str,
    part: Part,
    limits: DecodeLimits,
    passed_over: list[str],
    *,
    depth: int = 0,
    is_listed: bool,
) -> Iterator[tuple[str, Part]]:
    """Give the part itself, or the entries of the zip that it is."""
    head = read_head(part, limits)
    if is_listed and is_side_file(label, head):
        passed_over.append(label)
        return
    if _sniff(head) != "zip":
        yield label, part
        return
    if depth >= limits.max_archive_depth:
        raise NestedTooDeep(f"archives are nested deeper than {limits.max_archive_depth}")
    archive = part if isinstance(part, Path | bytes) else read_part(part, limits)
    for entry in list_entries(archive, limits):
        inner = f"{label}:{entry.name}"
        yield from _look_inside(inner, entry, limits, passed_over, depth=depth + 1, is_listed=True)


def _sniff(head: bytes) -> Format | None:
    try:
        return sniff_format(head)
    except UnknownFormat:
        return None
