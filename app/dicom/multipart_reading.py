"""Multipart answers of other servers, read whole."""

from dataclasses import dataclass, field

from python_multipart.multipart import MultipartParser, parse_options_header

from app.dicom.errors import PeerUnreachable


@dataclass(slots=True)
class ReadPart:
    """One part: its headers, lower case, and its bytes."""

    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b""


def read_parts(kind: str, body: bytes) -> list[ReadPart]:
    """Give the parts of a multipart body.

    Args:
        kind: the Content-Type of the answer.
        body: the whole of it.

    Raises:
        PeerUnreachable: it is no multipart answer, or a broken one.
    """
    _, options = parse_options_header(kind)
    boundary = options.get(b"boundary")
    if not boundary:
        raise PeerUnreachable("the answer has no parts")
    parts: list[ReadPart] = []
    names: list[bytes] = [b"", b""]

    def begin() -> None:
        parts.append(ReadPart())

    def add_name(data: bytes, start: int, end: int) -> None:
        names[0] += data[start:end]

    def add_value(data: bytes, start: int, end: int) -> None:
        names[1] += data[start:end]

    def end_header() -> None:
        parts[-1].headers[names[0].decode("latin-1").lower()] = names[1].decode("latin-1")
        names[:] = [b"", b""]

    def add_bytes(data: bytes, start: int, end: int) -> None:
        parts[-1].content += data[start:end]

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": begin,
            "on_header_field": add_name,
            "on_header_value": add_value,
            "on_header_end": end_header,
            "on_part_data": add_bytes,
        },
    )
    try:
        parser.write(body)
        parser.finalize()
    except ValueError as error:
        raise PeerUnreachable("the answer is broken") from error
    return parts
