"""What was acknowledged, remembered on this machine: an interrupted push goes on where it was.

It holds digests and the service's own numbers, no path and nothing of a patient. What is lost of it
is sent again, and the service answers that it knows these bytes.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self
from uuid import UUID

from app.client.access import ServiceAccess

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND


class Journal:
    """Marks of uploads and the receipts they got; a line each, appended as it comes."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = Lock()
        self._file = os.fdopen(os.open(path, _FLAGS, 0o600), "a+b")
        self._uploads = dict(self._read())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def find(self, mark: str) -> UUID | None:
        """Give the upload that these files were acknowledged as."""
        return self._uploads.get(mark)

    def note(self, mark: str, upload_id: UUID) -> None:
        """Remember an upload; it is with the system when this returns."""
        line = json.dumps({"mark": mark, "upload": str(upload_id)}) + "\n"
        with self._lock:
            self._uploads[mark] = upload_id
            self._file.write(line.encode())
            self._file.flush()

    def _read(self) -> list[tuple[str, UUID]]:
        """Read the lines; one that was cut off is closed, so that the next begins anew."""
        self._file.seek(0)
        content = self._file.read()
        if content and not content.endswith(b"\n"):
            self._file.write(b"\n")
        return [pair for line in content.splitlines() if (pair := _read_line(line)) is not None]


def mark_files(files: Sequence[Path]) -> str:
    """Give the mark of an upload: it changes with place, size and time of change of its files."""
    said = []
    for path in files:
        state = path.stat()
        said.append([str(path.absolute()), state.st_size, state.st_mtime_ns])
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def choose_journal(access: ServiceAccess, environment: Mapping[str, str]) -> Path:
    """Give the place of the journal for a service and a key, in the user's folder of states."""
    state = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    name = hashlib.sha256(f"{access.url} {access.key.id}".encode()).hexdigest()[:32]
    return Path(state) / "aegle" / "push" / f"{name}.jsonl"


def _read_line(line: bytes) -> tuple[str, UUID] | None:
    try:
        read = json.loads(line)
        return str(read["mark"]), UUID(read["upload"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
