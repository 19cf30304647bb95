"""A STOW message on its way in: its parts, as their bytes come (PS3.18 10.5, RFC 2387)."""

from dataclasses import dataclass
from enum import Enum, auto

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import InvalidStow, UnsupportedMedia

DICOM = b"application/dicom"
MULTIPART = b"multipart/related"
_MAX_BOUNDARY = 200


class Step(Enum):
    """What the parser came by."""

    BEGIN = auto()
    """A part begins; `content` is its media type, empty when it names none."""
    CONTENT = auto()
    """Bytes of the part."""
    END = auto()
    """The part is whole."""


@dataclass(frozen=True, slots=True)
class Event:
    """One step of a message."""

    step: Step
    content: bytes = b""


class StowMessage:
    """Splits a multipart message into events; holds no more than a chunk of it.

    `is_whole` once its closing delimiter came.
    """

    def __init__(self, boundary: bytes) -> None:
        self._events: list[Event] = []
        self._name = bytearray()
        self._value = bytearray()
        self._media_type = b""
        self._is_plain = True
        self._is_over = False
        self.is_whole = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._read_name,
                "on_header_value": self._read_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_content,
                "on_part_data": self._read_content,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> list[Event]:
        """Give what happened in these bytes; nothing after the end, or after what breaks it."""
        if not self._is_over:
            try:
                self._parser.write(chunk)
            except FormParserError:
                self._is_over = True
        events, self._events = self._events, []
        return events

    def _begin(self) -> None:
        self._media_type, self._is_plain = b"", True

    def _read_name(self, chunk: bytes, start: int, end: int) -> None:
        self._name += chunk[start:end]

    def _read_value(self, chunk: bytes, start: int, end: int) -> None:
        self._value += chunk[start:end]

    def _end_header(self) -> None:
        name, value = bytes(self._name).lower(), bytes(self._value)
        if name == b"content-type":
            self._media_type = parse_options_header(value)[0]
        elif name == b"content-transfer-encoding":
            self._is_plain = value.strip().lower() in {b"binary", b"8bit", b"7bit"}
        self._name.clear()
        self._value.clear()

    def _begin_content(self) -> None:
        media_type = self._media_type if self._is_plain else b"encoded"
        self._events.append(Event(Step.BEGIN, media_type))

    def _read_content(self, chunk: bytes, start: int, end: int) -> None:
        self._events.append(Event(Step.CONTENT, chunk[start:end]))

    def _end_part(self) -> None:
        self._events.append(Event(Step.END))

    def _end(self) -> None:
        self._is_over = self.is_whole = True


def open_message(content_type: str) -> StowMessage | None:
    """Give the parser that a Content-Type asks for; None for a body that is one bare object.

    Raises:
        UnsupportedMedia: it is neither DICOM parts nor a DICOM object.
        InvalidStow: the boundary is missing or malformed.
    """
    kind, options = parse_options_header(content_type)
    if kind == DICOM:
        return None
    if kind != MULTIPART or options.get(b"type", DICOM).lower() != DICOM:
        raise UnsupportedMedia
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= _MAX_BOUNDARY:
        raise InvalidStow("the multipart message names no boundary")
    return StowMessage(boundary)
