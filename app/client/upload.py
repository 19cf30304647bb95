"""A scan on its way out: a file as it is, or the slices of a series as a zip, in pieces.

Nothing is ever whole in memory or written aside. Names of folders are not sent.
"""

import hashlib
import json
import secrets
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.client.errors import FileChanged
from app.intake.schemas import UploadFields

CHUNK_BYTES = 256 * 1024
_FILE_FIELD = "file"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Upload:
    """What is handed in at once: one file, or all files of one series."""

    files: tuple[Path, ...]
    fields: UploadFields = field(default_factory=UploadFields)
    idempotency_key: str | None = None

    def measure_bytes(self) -> int:
        """Give the size of the files together."""
        return sum(path.stat().st_size for path in self.files)


class UploadBody:
    """The multipart body of one try; `sha256` is that of the file or zip, known at its end."""

    def __init__(self, upload: Upload, tell: Callable[[int], None]) -> None:
        """Open nothing yet.

        Args:
            upload: what is sent.
            tell: called with the number of bytes of each piece that went out.
        """
        self.sha256 = ""
        self.sent_bytes = 0
        self._files = upload.files
        self._tell = tell
        boundary = secrets.token_hex(16)
        self._head = _write_head(upload.fields, boundary)
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        if upload.idempotency_key is not None:
            self.headers["Idempotency-Key"] = upload.idempotency_key
        self._size_bytes: int | None = None
        if len(upload.files) == 1:
            self._size_bytes = upload.measure_bytes()
            length = len(self._head) + self._size_bytes + len(self._tail)
            self.headers["Content-Length"] = str(length)

    def __iter__(self) -> Iterator[bytes]:
        """Give the body in pieces.

        Raises:
            FileChanged: the file is not as long as it was.
        """
        digest = hashlib.sha256()
        yield self._head
        for piece in self._read():
            digest.update(piece)
            self.sent_bytes += len(piece)
            if self._size_bytes is not None and self.sent_bytes > self._size_bytes:
                raise FileChanged
            self._tell(len(piece))
            yield piece
        if self._size_bytes is not None and self.sent_bytes != self._size_bytes:
            raise FileChanged
        self.sha256 = digest.hexdigest()
        yield self._tail

    def _read(self) -> Iterator[bytes]:
        if len(self._files) > 1:
            yield from stream_zip(self._files)
            return
        with self._files[0].open("rb") as file:
            while piece := file.read(CHUNK_BYTES):
                yield piece


def stream_zip(files: Sequence[Path]) -> Iterator[bytes]:
    """Pack files without compression; the same files in the same order give the same bytes."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, path in zip(_name_entries(files), files, strict=True):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            with path.open("rb") as file, archive.open(entry, "w") as target:
                while piece := file.read(CHUNK_BYTES):
                    target.write(piece)
                    yield sink.take()
    yield sink.take()


class _Sink:
    """Holds what the zip writer wrote until it is sent; it cannot seek."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, piece: bytes, /) -> int:
        self._held += piece
        return len(piece)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def take(self) -> bytes:
        piece = bytes(self._held)
        self._held.clear()
        return piece


def _name_entries(files: Sequence[Path]) -> list[str]:
    """Give the files' own names, numbered where two are equal."""
    counts = Counter(path.name for path in files)
    return [
        path.name if counts[path.name] == 1 else f"{number:05}-{path.name}"
        for number, path in enumerate(files)
    ]


def _write_head(fields: UploadFields, boundary: str) -> bytes:
    """Write the fields, and the head of the part that holds the file."""
    parts = []
    for name, value in fields.model_dump(exclude_defaults=True).items():
        text = value if isinstance(value, str) else json.dumps(value)
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}')
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_FILE_FIELD}"; filename="scan"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return "\r\n".join(parts).encode()
