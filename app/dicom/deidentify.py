"""Objects without their patient: the Basic Profile of PS3.15 E, the same person always the same.

The table of the standard is that of dicom-anonymizer. It is applied at every depth, which that
library does not do, and UIDs and patients are replaced by what the crosswalk in the database says.
Pixels are left as they are: what is burned into them stays.
"""

import io
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

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
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import Clock
from app.dicom.tables import CrosswalkRow
from app.storage.database import Database
from models.decoding.dicom_dataset import read_dicom
from models.decoding.foreign import translate_foreign
from models.decoding.limits import DecodeLimits

METHOD = "DICOM PS3.15 Basic Profile 2024b"
_PROFILE = ("113100", "DCM", "Basic Application Confidentiality Profile")
_CONTENT = 0x0040A730
_UID_KIND, _PATIENT_KIND = "uid", "patient"

_Action = Callable[[Dataset, Any], None]


class Deidentifier:
    """Takes the patient out of objects; what stands for whom is kept in the database alone."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._exact: dict[int, _Action] = {}
        self._ranges: list[tuple[tuple[int, ...], _Action]] = []
        for tag, action in initialize_actions_2024b().items():
            if len(tag) == 2:
                self._exact[tag[0] << 16 | tag[1]] = action
            else:
                self._ranges.append((tag, action))

    def clean(self, content: bytes, *, is_ours: bool = False) -> bytes:
        """Give the file of an object without its patient.

        Args:
            content: a DICOM file.
            is_ours: it is a result of ours, whose structured content names nobody: it is cleaned
                item by item; that of others is replaced as a whole.

        Raises:
            DecodeError: it cannot be read, or cannot be written again.
        """
        dataset = read_dicom(content, DecodeLimits(), with_pixels=True).dataset
        with translate_foreign("the object to de-identify"):
            patient = str(dataset.get("PatientID") or dataset.get("PatientName") or "")
            dataset.remove_private_tags()
            wanted = self._apply(dataset, is_ours=is_ours)
            names = self._substitute(wanted, patient)
            _replace_uids(dataset, self._is_replaced, names)
            substitute = names[_PATIENT_KIND, patient]
            dataset.PatientID = dataset.PatientName = substitute
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            _mark(dataset)
            stream = io.BytesIO()
            dcmwrite(stream, dataset, enforce_file_format=True)
            return stream.getvalue()

    def _apply(self, dataset: FileDataset, *, is_ours: bool) -> set[str]:
        """Apply the table at every depth, and give the UIDs that are to be replaced."""
        uids: set[str] = set()
        for home in _walk(dataset):
            for element in list(home):
                action = self._find_action(element)
                if action is None or (is_ours and element.tag == _CONTENT):
                    continue
                if self._is_replaced(element):
                    uids.update(_list_uids(element))
                else:
                    _act(action, home, element)
        return uids

    def _find_action(self, element: DataElement) -> _Action | None:
        found = self._exact.get(int(element.tag))
        if found is not None:
            return found
        group, number = element.tag.group, element.tag.element
        for tag, action in self._ranges:
            if group & tag[2] == tag[0] & tag[2] and number & tag[3] == tag[1] & tag[3]:
                return action
        return None

    def _is_replaced(self, element: DataElement) -> bool:
        return element.VR == "UI" and self._find_action(element) not in {None, delete}

    def _substitute(self, uids: set[str], patient: str) -> dict[tuple[str, str], str]:
        """Give what stands for UIDs and the patient, drawing what is new."""
        wanted = [(_UID_KIND, uid) for uid in sorted(uids)] + [(_PATIENT_KIND, patient[:256])]
        with self._database.transaction() as session:
            names = {
                (kind, original): self._find(session, kind, original) for kind, original in wanted
            }
        names[_PATIENT_KIND, patient] = names[_PATIENT_KIND, patient[:256]]
        return names

    def _find(self, session: Session, kind: str, original: str) -> str:
        query = select(CrosswalkRow).where(
            CrosswalkRow.kind == kind, CrosswalkRow.original == original
        )
        row = session.scalar(query)
        if row is None:
            drawn = uuid4()
            substitute = f"2.25.{drawn.int}" if kind == _UID_KIND else f"AEGLE-{drawn.hex[:16]}"
            row = CrosswalkRow(
                kind=kind, original=original, substitute=substitute, made_at=self._clock.now()
            )
            session.add(row)
            session.flush()
        return row.substitute


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
    values = element.value if isinstance(element.value, MultiValue) else [element.value]
    return [str(value) for value in values if value and UID(value).is_private]


def _replace_uids(
    dataset: Dataset,
    is_replaced: Callable[[DataElement], bool],
    names: dict[tuple[str, str], str],
) -> None:
    for home in _walk(dataset):
        for element in home:
            if not is_replaced(element):
                continue
            if isinstance(element.value, MultiValue):
                element.value = [names.get((_UID_KIND, str(uid)), uid) for uid in element.value]
            else:
                element.value = names.get((_UID_KIND, str(element.value)), element.value)


def _mark(dataset: Dataset) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = _PROFILE
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    dataset.DeidentificationMethodCodeSequence = [code]
