"""What stands for a UID or a patient; it is kept in the database and never leaves it."""

from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.clock import Clock
from app.dicom.profile import Names, Substitutes
from app.dicom.tables import CrosswalkRow
from app.storage.database import Database

_UID_KIND, _PATIENT_KIND = "uid", "patient"
_TRIES = 3
_AT_ONCE = 1000  # databases take so many values and not many more

_Key = tuple[str, str]


class Crosswalk:
    """Gives the same name for the same person, study or object, each time; safe to share."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def find_uid(self, original: str) -> str | None:
        """Find what stands for a UID; None where none was ever replaced."""
        with self._database.reading() as session:
            return _find(session, [(_UID_KIND, original)]).get((_UID_KIND, original))

    def substitute(self, names: Names) -> Substitutes:
        """Give what stands for names, and draw what is new."""
        patient = (_PATIENT_KIND, names.patient)
        wanted = [patient, *((_UID_KIND, uid) for uid in sorted(names.uids))]
        with self._database.reading() as session:
            found = _find(session, wanted)
        if len(found) < len(wanted):
            found = self._draw(wanted)
        return Substitutes({uid: found[_UID_KIND, uid] for uid in names.uids}, found[patient])

    def _draw(self, wanted: list[_Key]) -> dict[_Key, str]:
        """Draw what is missing; where two do so at once, one of them looks again."""
        for last in (False,) * (_TRIES - 1) + (True,):
            try:
                with self._database.transaction() as session:
                    found = _find(session, wanted)
                    missing = [key for key in wanted if key not in found]
                    drawn = {key: _draw_name(key[0]) for key in missing}
                    session.add_all(self._build_row(key, name) for key, name in drawn.items())
                    session.flush()
                    return found | drawn
            except IntegrityError:
                if last:
                    raise
        return {}

    def _build_row(self, key: _Key, name: str) -> CrosswalkRow:
        kind, original = key
        return CrosswalkRow(
            kind=kind, original=original, substitute=name, made_at=self._clock.now()
        )


def _find(session: Session, wanted: list[_Key]) -> dict[_Key, str]:
    found: dict[_Key, str] = {}
    originals = [key[1] for key in wanted]
    for start in range(0, len(originals), _AT_ONCE):
        some = originals[start : start + _AT_ONCE]
        query = select(CrosswalkRow).where(CrosswalkRow.original.in_(some))
        found |= {(row.kind, row.original): row.substitute for row in session.scalars(query)}
    return {key: found[key] for key in wanted if key in found}


def _draw_name(kind: str) -> str:
    drawn = uuid4()
    return f"2.25.{drawn.int}" if kind == _UID_KIND else f"AEGLE-{drawn.hex[:16]}"
