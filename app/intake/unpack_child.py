"""The bounded child process that lists what an upload holds. Started by `Unpacker`.

For every file of every scan it answers a header, and the bytes of the file when it came out of an
archive. It confines itself as the decoders' child does.
"""

from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import Field

from app.intake.identity import Identity, find_identity, read_identity
from models.decoding.archive import ZipPart
from models.decoding.bounded_loop import serve_requests
from models.decoding.limits import DecodeLimits
from models.decoding.listing import list_parts
from models.decoding.part import Part, read_head, read_part
from models.decoding.series import group_parts
from models.decoding.sniff import sniff_format
from models.decoding.wire import BoundedRequest, frame_header
from models.errors import DecodeError, MemoryExceeded
from models.specs import Spec

_LABEL_CHARACTERS = 255


class UnpackRequest(BoundedRequest):
    """List this file."""

    path: str


class UnpackAnswer(Spec):
    """One file of a scan, a file that is none, the end of the list, or why there is none.

    `size_bytes` of the file follow when `has_bytes`.
    """

    kind: Literal["file", "passed_over", "end", "refused"]
    scan: int = 0
    label: str = Field(default="", max_length=255)
    identity: Identity = Identity()
    has_bytes: bool = False
    size_bytes: int = 0
    error: str = ""
    message: str = ""


def main() -> None:
    """Serve requests until the parent closes the pipe."""
    serve_requests(UnpackRequest, _answer)


def _answer(request: UnpackRequest, _: BinaryIO, answers: BinaryIO) -> bool:
    answers.write(frame_header(_unpack(request, answers)))
    return True


def _unpack(request: UnpackRequest, answers: BinaryIO) -> UnpackAnswer:
    try:
        _list_files(Path(request.path), request.limits, answers)
    except MemoryError:
        return _refuse(MemoryExceeded())
    except DecodeError as error:
        return _refuse(error)
    return UnpackAnswer(kind="end")


def _list_files(path: Path, limits: DecodeLimits, answers: BinaryIO) -> None:
    if sniff_format(read_head(path, limits)) != "zip":
        content = read_part(path, limits)
        identity = read_identity(content, limits)
        header = UnpackAnswer(kind="file", identity=identity, size_bytes=len(content))
        answers.write(frame_header(header))
        return
    side_files: list[str] = []
    for number, found in enumerate(group_parts(list_parts(path, limits, side_files), limits)):
        for member in found.parts:
            _hand_over(number, member, limits, answers)
    for label in side_files:
        shown = _make_printable(label.removeprefix(f"{path}:"))
        answers.write(frame_header(UnpackAnswer(kind="passed_over", label=shown)))


def _hand_over(number: int, member: Part, limits: DecodeLimits, answers: BinaryIO) -> None:
    content = read_part(member, limits)
    header = UnpackAnswer(
        kind="file",
        scan=number,
        label=_make_printable(member.name) if isinstance(member, ZipPart) else "",
        identity=find_identity(content, limits),
        has_bytes=True,
        size_bytes=len(content),
    )
    answers.write(frame_header(header))
    answers.write(content)


def _make_printable(name: str) -> str:
    shown = "".join(letter if letter.isprintable() else "?" for letter in name)
    return shown[-_LABEL_CHARACTERS:]


def _refuse(error: DecodeError) -> UnpackAnswer:
    return UnpackAnswer(kind="refused", error=error.code, message=str(error))


if __name__ == "__main__":
    main()
