import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.intake.identity import build_identity, find_identity, read_identity
from models.decoding.limits import DecodeLimits
from models.errors import LimitExceeded
from tests.builders.dicom import build_deflated_bomb, build_dicom, make_dataset, make_ramp

LIMITS = DecodeLimits()


def test_the_facts_of_a_header_are_read():
    content = build_dicom(
        make_ramp(), PatientID="P7", PatientName="Doe^Jane", Manufacturer="A", Modality="MR"
    )

    identity = read_identity(content, LIMITS)

    assert (identity.patient_id, identity.patient_name) == ("P7", "Doe^Jane")
    assert (identity.device, identity.modality) == ("A", "MR")


@pytest.mark.parametrize(
    ("uid", "kept"),
    [("1.2.840", "1.2.840"), ("../../etc/passwd", None), ("1..2", None), ("1." * 40 + "1", None)],
)
def test_only_what_is_a_uid_is_kept_as_one(uid, kept):
    dataset = make_dataset(make_ramp())
    dataset.add_new(0x0020000E, "UT", uid)

    assert build_identity(dataset).series_uid == kept


@given(st.text(max_size=400))
def test_texts_fit_their_columns_and_hold_no_control_characters(text):
    dataset = make_dataset(make_ramp())
    dataset.add_new(0x00081030, "UT", text)

    description = build_identity(dataset).description

    assert description is None or (len(description) <= 256 and description.isprintable())


@pytest.mark.parametrize("content", [b"", b"garbage", b"\0" * 128 + b"DICM", b"\x89PNG\r\n\x1a\n"])
def test_what_cannot_be_read_has_no_facts(content):
    assert read_identity(content, LIMITS).patient_id is None


def test_a_header_over_the_limits_is_told_alone_and_passed_over_in_an_archive():
    bomb = build_deflated_bomb(2**24)
    limits = DecodeLimits(max_inflated_bytes=2**20)

    with pytest.raises(LimitExceeded):
        read_identity(bomb, limits)
    assert find_identity(bomb, limits).patient_id is None
