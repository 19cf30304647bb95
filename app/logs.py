"""Structured logs: one JSON object a line, with the request id, and only fields we chose.

A message is a fixed sentence; what varies goes into `extra={"fields": {...}}` and is never patient
data. Tracebacks name the type of an exception and the place, not its text: a foreign
exception's text may quote a tag.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TextIO

from app.request_context import request_id

_QUIET = ("uvicorn.access", "httpx2", "httpcore2", "alembic", "sqlalchemy.engine")
# Their warnings quote what files hold, or tell of every broken message of a peer.
_MUTE = ("pydicom", "highdicom", "python_multipart", "pynetdicom")


class JsonFormatter(logging.Formatter):
    """One log record to one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        current = request_id.get()
        if current is not None:
            line["request_id"] = current
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line.update(fields)
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _tell_error(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True, default=str)


def set_up_logs(level: str, stream: TextIO | None = None) -> None:
    """Send the logs of the whole process through one JSON handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _MUTE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _tell_error(error: BaseException) -> dict[str, object]:
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    places = [
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames
    ]
    return {"type": type(error).__name__, "at": places}
