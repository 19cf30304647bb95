"""Which side of the patient lies at which edge of a slice, from where its slices lie."""

from pydantic import BaseModel, Field

from models.decoding.scan import Placement

# DICOM's axes count towards left, back and head.
_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
_OPPOSITES = {far: near for pair in _LETTERS for far, near in (pair, pair[::-1])}
# An axis that a direction follows less than this is not named.
_LEAST = 0.3


class SideMarks(BaseModel):
    """Letters at the edges of a slice as it is stored: L, R, A, P, H, F."""

    left: str = Field(examples=["R"])
    right: str = Field(examples=["L"])
    top: str = Field(examples=["A"])
    bottom: str = Field(examples=["P"])
    is_radiological: bool = Field(description="The patient's left is on the right.")


def find_sides(placement: Placement) -> SideMarks:
    """Tell the sides of a slice."""
    right = _name_direction(placement.row_direction)
    bottom = _name_direction(placement.column_direction)
    return SideMarks(
        left=_oppose(right),
        right=right,
        top=_oppose(bottom),
        bottom=bottom,
        is_radiological=right.startswith("L"),
    )


def _name_direction(direction: tuple[float, float, float]) -> str:
    """Name the axes that a direction follows, the main one first (DICOM PS3.3 C.7.6.1.1.1)."""
    parts = sorted(zip(direction, _LETTERS, strict=True), key=lambda part: -abs(part[0]))
    return "".join(
        letters[0] if value > 0 else letters[1] for value, letters in parts if abs(value) >= _LEAST
    )


def _oppose(letters: str) -> str:
    return "".join(_OPPOSITES[letter] for letter in letters)
