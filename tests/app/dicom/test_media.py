"""What Accept headers ask for, and what multipart answers look like."""

import email

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom.errors import NotAcceptable
from app.dicom.media import (
    DICOM,
    OCTETS,
    AnswerPart,
    choose,
    name_multipart,
    parse_accept,
    write_multipart,
)

J2K = "1.2.840.10008.1.2.4.90"


@pytest.mark.parametrize(
    ("header", "kind", "is_multipart"),
    [
        ('multipart/related; type="application/octet-stream"; transfer-syntax="*"', OCTETS, True),
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", OCTETS, True),
        ("application/octet-stream;transfer-syntax=*", OCTETS, False),
        (f'text/html, multipart/related; type="{OCTETS}"; transfer-syntax={J2K}', OCTETS, True),
        ("*/*", "*/*", True),
        (None, "*/*", True),
    ],
)
def test_what_viewers_send_is_understood(header, kind, is_multipart):
    chosen = choose(parse_accept(header), (OCTETS,), J2K)

    assert (chosen.kind, chosen.is_multipart) == (kind, is_multipart)


@pytest.mark.parametrize(
    "header",
    [
        'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1',
        "text/html",
        "application/dicom+json",
    ],
)
def test_what_cannot_be_given_is_refused(header):
    with pytest.raises(NotAcceptable):
        choose(parse_accept(header), (OCTETS,), J2K)


def test_a_multipart_answer_is_read_back_by_another_parser():
    parts = [AnswerPart(DICOM, "/a", (b"\0first\r\n", b"half")), AnswerPart(DICOM, "/b", (b"",))]

    body = b"".join(write_multipart(parts, "BOUNDARY"))

    head = f"Content-Type: {name_multipart(DICOM, 'BOUNDARY')}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body)
    assert [part.get_payload(decode=True) for part in message.get_payload()] == [
        b"\0first\r\nhalf",
        b"",
    ]
    assert [part["Content-Location"] for part in message.get_payload()] == ["/a", "/b"]


@given(st.text(max_size=200))
def test_any_header_is_understood_or_refused(header):
    try:
        choose(parse_accept(header), (OCTETS,), J2K)
    except NotAcceptable:
        return
