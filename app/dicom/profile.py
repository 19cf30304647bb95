"""An object without its patient: the Basic Profile of PS3.15 E, applied at every depth.

The table of the standard is that of dicom-anonymizer; its own walk stops at the top level. UIDs and
the patient are replaced by names that the caller gives. Pixels are left as they are: what is
burned into them stays.
"""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from dicomanonymizer.simpledicomanonymizer import (
    delete,
    delete_or_empty_or_replace_UID,
    initialize_actions_2024b,
)
from pydicom import dcmwrite
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.multival import MultiValue
from pydicom.uid import UID

METHOD = "DICOM PS3.15 Basic Profile 2024b"
PATIENT_CHARACTERS = 256
_PROFILE = ("113100", "DCM", "Basic Application Confidentiality Profile")
_CONTENT = 0x0040A730
_UID = re.compile(r"[0-9.]{1,64}")

_Action = Callable[[Dataset, Any], None]


@dataclass(frozen=True, slots=True)
class Names:
    """What is to be replaced: the UIDs of an object, and who its patient is."""

    uids: frozenset[str]
    patient: str


@dataclass(frozen=True, slots=True)
class Substitutes:
    """What stands for them."""

    uids: dict[str, str]
    patient: str


@dataclass(frozen=True, slots=True)
class _Table:
    """The actions of the profile: by tag, and by ranges of tags."""

    exact: dict[int, _Action]
    ranges: tuple[tuple[tuple[int, ...], _Action], ...]

    def find_action(self, element: DataElement) -> _Action | None:
        found = self.exact.get(int(element.tag))
        if found is not None:
            return found
        group, number = element.tag.group, element.tag.element
        for tag, action in self.ranges:
            if group & tag[2] == tag[0] & tag[2] and number & tag[3] == tag[1] & tag[3]:
                return action
        return None

    def is_renamed(self, element: DataElement) -> bool:
        return element.VR == "UI" and self.find_action(element) not in {None, delete}


@cache
def _read_table() -> _Table:
    actions = initialize_actions_2024b().items()
    exact = {tag[0] << 16 | tag[1]: action for tag, action in actions if len(tag) == 2}
    return _Table(exact, tuple((tag, action) for tag, action in actions if len(tag) != 2))


def strip_patient(dataset: FileDataset, *, is_ours: bool) -> Names:
    """Take out what the profile takes out, and give what is still to be replaced.

    Args:
        dataset: is changed.
        is_ours: it is a result of ours, whose structured content names nobody: it is cleaned item
            by item; that of others is replaced as a whole.
    """
    table = _read_table()
    patient = str(dataset.get("PatientID") or dataset.get("PatientName") or "")
    shown = "".join(letter for letter in patient if letter.isprintable())
    dataset.remove_private_tags()
    uids: set[str] = set()
    for home in _walk(dataset):
        for element in list(home):
            action = table.find_action(element)
            if action is None or (is_ours and element.tag == _CONTENT):
                continue
            if table.is_renamed(element):
                uids.update(uid for uid in _list_uids(element) if UID(uid).is_private)
            else:
                _act(action, home, element)
    return Names(frozenset(uids), shown[:PATIENT_CHARACTERS])


def rename(dataset: FileDataset, names: Substitutes) -> bytes:
    """Give the file of a stripped object under other names."""
    table = _read_table()
    for home in _walk(dataset):
        for element in home:
            if table.is_renamed(element):
                renamed = [names.uids.get(uid, uid) for uid in _list_uids(element)]
                element.value = renamed if len(renamed) > 1 else "".join(renamed)
    dataset.PatientID, dataset.PatientName = names.patient, f"{names.patient}^"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    _mark(dataset)
    stream = io.BytesIO()
    dataset.preamble = bytes(128)
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def _act(action: _Action, home: Dataset, element: DataElement) -> None:
    """Apply an action of the table; what it cannot change is taken out.

    A sequence that may stay is emptied of what it holds, unless it is there for its UIDs alone
    (X/Z/U* in the table), which are replaced one by one.
    """
    if element.VR == "SQ" and action is not delete:
        if action is not delete_or_empty_or_replace_UID:
            element.value = []
        return
    try:
        action(home, (element.tag.group, element.tag.element))
    except NotImplementedError:
        del home[element.tag]


def _walk(dataset: Dataset) -> Iterator[Dataset]:
    """Give a data set and all inside it, the innermost first."""
    for element in list(dataset):
        if element.VR == "SQ":
            for item in element.value:
                yield from _walk(item)
    yield dataset


def _list_uids(element: DataElement) -> list[str]:
    """Give the values that have the form of a UID; another text may name somebody."""
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    return [str(value) for value in values if value and _UID.fullmatch(str(value))]


def _mark(dataset: Dataset) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = _PROFILE
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    dataset.DeidentificationMethodCodeSequence = [code]
