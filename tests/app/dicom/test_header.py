"""What the index keeps of a header: all that can be told, however odd."""

import json

import numpy as np

from app.dicom.header import read_header
from models.decoding.limits import DecodeLimits
from tests.builders.stow import build_object, make_uid

LONG = 0.999032176441525


def describe(content):
    return json.loads(read_header(content, DecodeLimits()).attributes)


def write_long(content, number):
    """Write a number of more than 16 characters in the place of the slice's thickness."""
    shown = f"{number:.18f}".encode()
    start = content.index(b"\x18\x00\x50\x00DS")
    end = start + 8 + int.from_bytes(content[start + 6 : start + 8], "little")
    head = content[start : start + 6] + len(shown).to_bytes(2, "little")
    return content[:start] + head + shown + content[end:]


def test_numbers_that_are_longer_than_they_may_be_are_kept():
    content = write_long(build_object(make_uid(), make_uid(), SliceThickness=1.0), LONG)

    told = describe(content)

    assert told["00180050"]["Value"] == [np.float64(f"{LONG:.18f}")]


def test_one_value_that_cannot_be_told_takes_no_other_away():
    content = build_object(make_uid(), make_uid(), SliceThickness=1.5, KVP="120")
    start = content.index(b"\x18\x00\x50\x00DS") + 8
    broken = content[:start] + b"a.b " + content[start + 4 :]

    told = describe(broken)

    assert "00180050" not in told or "a.b" not in str(told["00180050"])
    assert told["00180060"]["Value"] == [120.0]
    assert told["00200037"]["Value"] == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
