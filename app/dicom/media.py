"""Media types of DICOMweb: what an Accept header asks for, and multipart answers (PS3.18 8.7)."""

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.dicom.errors import NotAcceptable

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
OCTETS = "application/octet-stream"
ANY = "*"
_RELATED = "multipart/related"
_SPLIT = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*(?:"([^"]*)"|([^;"\s]+))')
_MAX_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class Wanted:
    """One kind of answer a caller takes; `syntax` is a transfer syntax, * any of them."""

    kind: str
    is_multipart: bool
    syntax: str


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """One part of a multipart answer."""

    kind: str
    place: str
    chunks: Iterable[bytes]


def parse_accept(header: str | None) -> tuple[Wanted, ...]:
    """Give what a caller takes, in the caller's order; nothing said is everything.

    A transfer syntax that is not named counts as any: objects are given as they are kept.

    Raises:
        NotAcceptable: the header is too long.
    """
    text = (header or "").strip() or "*/*"
    if len(text) > _MAX_CHARACTERS:
        raise NotAcceptable
    return tuple(_parse_one(part.strip()) for part in _SPLIT.split(text) if part.strip())


def choose(wanted: Iterable[Wanted], kinds: Iterable[str], syntax: str) -> Wanted:
    """Give the first kind of answer a caller takes that can be had.

    Args:
        wanted: what the caller takes.
        kinds: what can be had.
        syntax: in which transfer syntax.

    Raises:
        NotAcceptable: nothing fits.
    """
    offered = set(kinds)
    for each in wanted:
        fits = each.kind in offered or each.kind in {"*/*", ANY, _RELATED}
        fits = fits or (each.kind.endswith("/*") and _has_family(each.kind, offered))
        if fits and each.syntax in {ANY, syntax}:
            return each
    raise NotAcceptable


def name_multipart(kind: str, boundary: str) -> str:
    """Give the media type of a multipart answer."""
    return f'{_RELATED}; type="{kind}"; boundary={boundary}'


def draw_boundary() -> str:
    """Draw a boundary that no part holds."""
    return secrets.token_hex(24)


def write_multipart(parts: Iterable[AnswerPart], boundary: str) -> Iterator[bytes]:
    """Give the body of a multipart answer piece by piece."""
    for part in parts:
        yield (
            f"--{boundary}\r\nContent-Type: {part.kind}\r\nContent-Location: {part.place}\r\n\r\n"
        ).encode()
        yield from part.chunks
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _parse_one(text: str) -> Wanted:
    kind = text.split(";", 1)[0].strip().lower()
    parameters = {name.lower(): quoted or bare for name, quoted, bare in _PARAMETER.findall(text)}
    is_multipart = kind == _RELATED
    inner = parameters.get("type", _RELATED).lower() if is_multipart else kind
    is_open = inner in {"*/*", _RELATED}
    return Wanted(inner, is_multipart or is_open, parameters.get("transfer-syntax", ANY))


def _has_family(kind: str, offered: set[str]) -> bool:
    return any(each.startswith(kind[:-1]) for each in offered)
