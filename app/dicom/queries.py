"""What a QIDO-RS search asks for (PS3.18 8.3.4 and 10.6), parsed once."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from pydicom.datadict import keyword_for_tag, tag_for_keyword

from app.dicom.errors import InvalidQuery

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
_MAX_OFFSET = 10_000_000
_MAX_VALUE_CHARACTERS = 4096
_TAG = re.compile(r"[0-9a-fA-F]{8}")
_DATE = re.compile(r"[0-9]{8}")


class Level(IntEnum):
    """What is listed."""

    STUDY = 0
    SERIES = 1
    INSTANCE = 2


# Which attributes can be searched by, and at which level they are kept.
SEARCHED: dict[str, Level] = {
    "StudyInstanceUID": Level.STUDY,
    "PatientID": Level.STUDY,
    "PatientName": Level.STUDY,
    "AccessionNumber": Level.STUDY,
    "StudyDescription": Level.STUDY,
    "StudyDate": Level.STUDY,
    "StudyTime": Level.STUDY,
    "ModalitiesInStudy": Level.STUDY,
    "SeriesInstanceUID": Level.SERIES,
    "Modality": Level.SERIES,
    "SeriesNumber": Level.SERIES,
    "BodyPartExamined": Level.SERIES,
    "SOPInstanceUID": Level.INSTANCE,
    "SOPClassUID": Level.INSTANCE,
    "InstanceNumber": Level.INSTANCE,
}
_LISTS = {"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"}
_LISTS |= {"ModalitiesInStudy", "Modality"}
_NUMBERS = {"SeriesNumber", "InstanceNumber"}


@dataclass(frozen=True, slots=True)
class Search:
    """A search: `matches` by keyword, each with its values, of which one must fit.

    `included` holds eight-digit tags; None is everything. `ignored` counts what was asked for and
    cannot be searched by.
    """

    level: Level
    matches: Mapping[str, tuple[str, ...]]
    is_fuzzy: bool = False
    included: frozenset[str] | None = frozenset()
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    ignored: int = 0

    def pick(self, level: Level) -> dict[str, tuple[str, ...]]:
        """Give what is to match at a level."""
        return {name: values for name, values in self.matches.items() if SEARCHED[name] is level}


def parse_search(
    level: Level, parameters: Iterable[tuple[str, str]], **within: str | None
) -> Search:
    """Parse the parameters of a search.

    Args:
        level: what is listed.
        parameters: names and values as they came, names in any order and number.
        within: keyword and UID of the study or series that is searched in.

    Raises:
        InvalidQuery: a value has not the form of its attribute, or a number is out of bounds.
    """
    matches: dict[str, tuple[str, ...]] = {}
    options: dict[str, str] = {}
    included: set[str] = set()
    ignored = 0
    for name, value in parameters:
        keyword = _find_keyword(name)
        if name in {"limit", "offset", "fuzzymatching"}:
            options[name] = value
        elif name == "includefield":
            included.update(_parse_fields(value))
        elif keyword in SEARCHED and SEARCHED[keyword] <= level:
            matches |= _parse_match(keyword, value)
        else:
            ignored += 1
    matches |= {name: (value,) for name, value in within.items() if value is not None}
    return Search(
        level=level,
        matches=matches,
        is_fuzzy=options.get("fuzzymatching", "false").lower() == "true",
        included=None if "all" in included else frozenset(included),
        limit=min(_parse_number(options.get("limit", str(DEFAULT_LIMIT))), MAX_LIMIT),
        offset=_parse_number(options.get("offset", "0")),
        ignored=ignored,
    )


def _find_keyword(name: str) -> str:
    """Give the keyword of an attribute that may be named by its tag."""
    return keyword_for_tag(int(name, 16)) if _TAG.fullmatch(name) else name


def _parse_match(keyword: str, value: str) -> dict[str, tuple[str, ...]]:
    """Give what is to match; an empty value and a lone star match everything."""
    if len(value) > _MAX_VALUE_CHARACTERS or "\0" in value:
        raise InvalidQuery
    if value.strip() in {"", "*"}:
        return {}
    if keyword in _NUMBERS:
        return {keyword: (str(_parse_number(value)),)}
    if keyword == "StudyDate":
        _check_dates(value)
    values = re.split(r"[,\\]", value) if keyword in _LISTS else [value]
    return {keyword: tuple(each.strip() for each in values if each.strip())}


def _check_dates(value: str) -> None:
    parts = [part for part in value.split("-", 1) if part]
    if not parts or not all(_DATE.fullmatch(part) for part in parts):
        raise InvalidQuery("a study date has the form YYYYMMDD or YYYYMMDD-YYYYMMDD")


def _parse_fields(value: str) -> set[str]:
    """Give the tags of fields; of one inside a sequence, that of the sequence."""
    found = set()
    for part in value.split(","):
        name = part.strip().split(".")[0]
        tag = None if _TAG.fullmatch(name) else tag_for_keyword(name)
        found.add("all" if name == "all" else name.upper() if tag is None else f"{tag:08X}")
    return found


def _parse_number(value: str) -> int:
    text = value.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_MAX_OFFSET)):
        raise InvalidQuery("a number is not a whole one, or too large")
    return min(int(text), _MAX_OFFSET)
