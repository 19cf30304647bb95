"""Twenty hostile STOW messages, and what must be answered to each: no false 200 among them."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.builders.dicom import build_nested, make_ramp
from tests.builders.pictures import encode_picture
from tests.builders.stow import (
    BOUNDARY,
    DICOM_TYPE,
    build_message,
    build_object,
    make_uid,
)

NOT_UNDERSTOOD, UNIDENTIFIED, CUT, WRONG_PART = 0xC000, 0xC001, 0xC002, 0xC003
WRONG_CLASS, WRONG_STUDY, UNKNOWN_CLASS = 0xA900, 0xA901, 0x0122
UNKNOWN_SYNTAX, DUPLICATE, TOO_MUCH = 0xC122, 0x0111, 0xA701


@dataclass(frozen=True)
class Hostile:
    """A message: `build` takes the study it is addressed to; `reasons` are told, `kept` stored."""

    name: str
    build: Callable[[str], bytes]
    status: int
    reasons: tuple[int, ...] = ()
    kept: int = 0
    content_type: str = DICOM_TYPE


def _object(study: str, **attributes: object) -> bytes:
    return build_object(study, make_uid(), **attributes)


def _one(**attributes: object) -> Callable[[str], bytes]:
    return lambda study: build_message(_object(study, **attributes))


def _replace_syntax(study: str) -> bytes:
    plain, jpip = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4.94"
    content = _object(study)
    start = content.index(plain)
    length = len(jpip).to_bytes(2, "little")
    return build_message(content[: start - 2] + length + jpip + content[start + len(plain) :])


def _replace_meta_class(study: str) -> bytes:
    ct, mr = b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4.1.1.4\0"
    return build_message(_object(study).replace(ct, mr, 1))


def _replace_uid(study: str) -> bytes:
    uid, path = b"1.2.3.4.5.6.7.8.9.1", b"../../../etc/passwd"
    return build_message(_object(study, SOPInstanceUID=uid.decode()).replace(uid, path))


def _send_twice(study: str) -> bytes:
    uid = make_uid()
    first, second = _object(study, SOPInstanceUID=uid), _object(study, SOPInstanceUID=uid)
    return build_message(first, second)


def _place_parts(study: str) -> bytes:
    return build_message(_object(study), b"\0" * 4096, _object(study))


def _encode_part(study: str) -> bytes:
    body = build_message(_object(study))
    return body.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1)


HOSTILE = (
    Hostile("no parts", lambda _: f"--{BOUNDARY}--\r\n".encode(), 400),
    Hostile("empty body", lambda _: b"", 400),
    Hostile(
        "another boundary", lambda s: build_message(_object(s)).replace(b"aegle", b"other"), 400
    ),
    Hostile(
        "no boundary named", _one(), 400, content_type='multipart/related; type="application/dicom"'
    ),
    Hostile("form data", _one(), 415, content_type=f"multipart/form-data; boundary={BOUNDARY}"),
    Hostile(
        "XML parts",
        _one(),
        415,
        content_type=f'multipart/related; type="application/dicom+xml"; boundary={BOUNDARY}',
    ),
    Hostile("no media type", _one(), 415, content_type=""),
    Hostile("cut inside of the object", lambda s: build_message(_object(s))[:3000], 409, (CUT,)),
    Hostile(
        "cut before the closing delimiter",
        lambda s: build_message(_object(s), end=b""),
        409,
        (CUT,),
    ),
    Hostile(
        "cut behind a whole part",
        lambda s: build_message(_object(s), _object(s))[:-900],
        202,
        (CUT,),
        1,
    ),
    Hostile("garbage beside good parts", _place_parts, 202, (NOT_UNDERSTOOD,), 2),
    Hostile(
        "a part that is empty", lambda s: build_message(b"", _object(s)), 202, (NOT_UNDERSTOOD,), 1
    ),
    Hostile(
        "a part of another media type",
        lambda s: build_message(_object(s), media_type="image/png"),
        409,
        (WRONG_PART,),
    ),
    Hostile("a part in base64", _encode_part, 409, (WRONG_PART,)),
    Hostile(
        "a picture that is called DICOM",
        lambda _: build_message(encode_picture(make_ramp(), "png")),
        409,
        (NOT_UNDERSTOOD,),
    ),
    Hostile(
        "another study than the one addressed",
        lambda _: build_message(_object(make_uid())),
        409,
        (WRONG_STUDY,),
    ),
    Hostile("no instance UID", _one(SOPInstanceUID=None), 409, (UNIDENTIFIED,)),
    Hostile("a path for a UID", _replace_uid, 409, (UNIDENTIFIED,)),
    Hostile("no storage class", _one(SOPClassUID="1.2.840.10008.1.1"), 409, (UNKNOWN_CLASS,)),
    Hostile("an address in place of pixels", _replace_syntax, 409, (UNKNOWN_SYNTAX,)),
    Hostile("meta information that contradicts", _replace_meta_class, 409, (WRONG_CLASS,)),
    Hostile("two objects under one UID", _send_twice, 202, (DUPLICATE,), 1),
    Hostile(
        "sequences nested without end", lambda _: build_message(build_nested(200)), 409, (TOO_MUCH,)
    ),
)
