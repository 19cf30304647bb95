"""A body on its way into a draft: bare, or multipart with one file and some short fields."""

from collections.abc import AsyncIterator

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app.errors import InvalidRequest
from app.storage.blobs import CHUNK_BYTES, BlobDraft

FILE_FIELD = "file"
_FIELD_BYTES = 4096
_MAX_FIELDS = 16


async def read_body(request: Request, draft: BlobDraft) -> dict[str, str]:
    """Read a request's body into a draft, and give the fields that came with it.

    Raises:
        InvalidRequest: not one file, too many or too long fields, or a broken multipart body.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        await _write(request.stream(), draft)
        return {}
    form = _Form(options.get(b"boundary", b""))
    await _write(form.filter(request.stream()), draft)
    return form.finish()


async def _write(chunks: AsyncIterator[bytes], draft: BlobDraft) -> None:
    """Write in pieces of a size worth a thread."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        if len(held) >= CHUNK_BYTES:
            await run_in_threadpool(draft.write, bytes(held))
            held.clear()
    if held:
        await run_in_threadpool(draft.write, bytes(held))


class _Form:
    """The parser's callbacks: the bytes of the file pass, fields are gathered."""

    def __init__(self, boundary: bytes) -> None:
        if not boundary:
            raise InvalidRequest("the multipart body has no boundary")
        self._fields: dict[str, bytearray] = {}
        self._file = bytearray()
        self._file_count = 0
        self._disposition = bytearray()
        self._header = bytearray()
        self._target: bytearray = bytearray()
        self._is_whole = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._read_header,
                "on_header_value": self._read_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_content,
                "on_part_data": self._read_content,
                "on_end": self._end,
            },
        )

    async def filter(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Give the bytes of the file."""
        async for chunk in chunks:
            self._parse(chunk)
            if self._file:
                yield bytes(self._file)
                self._file.clear()

    def finish(self) -> dict[str, str]:
        """Give the fields.

        Raises:
            InvalidRequest: the body ended too early, or held not exactly one file.
        """
        if not self._is_whole:
            raise InvalidRequest("the multipart body is cut short")
        if self._file_count != 1:
            raise InvalidRequest(f"expected one part named {FILE_FIELD}, found {self._file_count}")
        try:
            return {name: bytes(value).decode() for name, value in self._fields.items()}
        except UnicodeDecodeError:
            raise InvalidRequest("a field is not UTF-8 text") from None

    def _parse(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise InvalidRequest("the multipart body cannot be read") from None

    def _begin_part(self) -> None:
        self._disposition.clear()

    def _read_header(self, chunk: bytes, start: int, end: int) -> None:
        self._header += chunk[start:end]

    def _read_value(self, chunk: bytes, start: int, end: int) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition += chunk[start:end]

    def _end_header(self) -> None:
        self._header.clear()

    def _begin_content(self) -> None:
        _, options = parse_options_header(bytes(self._disposition))
        name = options.get(b"name", b"").decode("latin-1")
        if name == FILE_FIELD:
            self._file_count += 1
            self._target = self._file
            return
        if name in self._fields or len(self._fields) >= _MAX_FIELDS:
            raise InvalidRequest("too many fields, or one of them twice")
        self._target = self._fields[name] = bytearray()

    def _read_content(self, chunk: bytes, start: int, end: int) -> None:
        if self._target is not self._file and len(self._target) + end - start > _FIELD_BYTES:
            raise InvalidRequest(f"a field is longer than {_FIELD_BYTES} bytes")
        if self._file_count > 1:
            raise InvalidRequest(f"expected one part named {FILE_FIELD}")
        self._target += chunk[start:end]

    def _end(self) -> None:
        self._is_whole = True
