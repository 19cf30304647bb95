"""Searches parsed as viewers send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom.errors import InvalidQuery
from app.dicom.queries import MAX_LIMIT, Level, parse_search


def test_a_search_of_ohif_is_understood():
    search = parse_search(
        Level.STUDY,
        [
            ("limit", "101"), ("offset", "20"), ("fuzzymatching", "false"),
            ("includefield", "00081030,00080060"), ("00100020", "*P1*"),
            ("StudyInstanceUID", "1.2,1.3"), ("StudyDate", "20200101-20261231"),
        ],
    )  # fmt: skip

    assert search.limit == 101
    assert search.offset == 20
    assert search.included == {"00081030", "00080060"}
    assert search.matches == {
        "PatientID": ("*P1*",),
        "StudyInstanceUID": ("1.2", "1.3"),
        "StudyDate": ("20200101-20261231",),
    }


def test_what_cannot_be_searched_by_is_counted():
    search = parse_search(Level.STUDY, [("Modality", "CT"), ("nonsense", "1"), ("00100010", "*")])

    assert search.ignored == 2
    assert search.matches == {}


def test_a_field_inside_a_sequence_includes_the_sequence():
    search = parse_search(
        Level.STUDY, [("includefield", "RequestAttributesSequence.StudyInstanceUID")]
    )

    assert search.included == {"00400275"}


def test_the_study_of_the_address_wins():
    search = parse_search(Level.SERIES, [("StudyInstanceUID", "9.9")], StudyInstanceUID="1.2")

    assert search.matches == {"StudyInstanceUID": ("1.2",)}


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "-1"), ("offset", "x"), ("StudyDate", "yesterday"), ("SeriesNumber", "one")],
)
def test_values_of_the_wrong_form_are_refused(name, value):
    with pytest.raises(InvalidQuery):
        parse_search(Level.SERIES, [(name, value)])


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=6))
def test_whatever_comes_is_parsed_or_refused(parameters):
    try:
        search = parse_search(Level.INSTANCE, parameters)
    except InvalidQuery:
        return

    assert 0 <= search.limit <= MAX_LIMIT
