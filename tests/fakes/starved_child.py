"""A decoder that has no memory left, not even for a refusal."""

from typing import BinaryIO

from models.decoding.bounded_loop import serve_requests
from models.decoding.wire import RequestHeader


def starve(request: RequestHeader, source: BinaryIO, answers: BinaryIO) -> bool:
    """Find no memory."""
    del request, source, answers
    raise MemoryError


if __name__ == "__main__":
    serve_requests(RequestHeader, starve)
