"""What an upload holds: its scans, its DICOM objects, and what of it is not scored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.analysis.decoders import Decoders
from app.cases.orders import LeftOut
from app.errors import DuplicateObject
from app.intake.objects import ObjectIndex, UploadedObject
from app.intake.unpacker import Unpacked, UnpackedFile, UnpackedScan, Unpacker
from app.storage.blobs import BlobDraft, BlobStore, StoredBlob
from models.decoding.scan import DecodedScan
from models.errors import DecodeError

_Objects = dict[str, UploadedObject]


@dataclass(frozen=True, slots=True)
class Content:
    """What is in an upload; `decoded` where it is one file alone.

    `objects` are its DICOM files by digest, `beside` those of them that are kept and not scored.
    `sent_sha256` is the digest of what came, where that was not kept.
    """

    blob: StoredBlob
    scans: Sequence[UnpackedScan]
    left_out: tuple[LeftOut, ...]
    decoded: DecodedScan | None
    objects: _Objects
    beside: tuple[UnpackedFile, ...]
    sent_sha256: str | None = None

    def list_blobs(self) -> list[StoredBlob]:
        """List the upload and its files, each once, in one order for all who lock them."""
        files = [file.blob for scan in self.scans for file in scan.files]
        return sorted({self.blob, *files}, key=lambda blob: blob.sha256)


class ContentReader:
    """Reads uploads and keeps their bytes; without their patients where the index cleans."""

    def __init__(
        self, store: BlobStore, unpacker: Unpacker, index: ObjectIndex, decoders: Decoders
    ) -> None:
        self._store = store
        self._unpacker = unpacker
        self._index = index
        self._decoders = decoders

    def read(self, draft: BlobDraft) -> Content:
        """Read an upload; all that is referred to is on disk when this returns.

        Raises:
            DecodeError: it gives no scan; nothing was kept.
            ObjectRefused: nor can it stand in the index of DICOM objects.
            StorageError: it cannot be kept at the moment.
        """
        path = draft.flush()
        blob = StoredBlob(draft.sha256, draft.size_bytes)
        objects: _Objects = {}
        try:
            unpacked = self._unpacker.unpack(path, blob)
            objects |= self._read_objects(path, blob, unpacked.scans)
            content = self._sort(blob, unpacked, objects, path)
        except DecodeError as error:
            draft.flush()  # bytes that went away with their disk are not the sender's fault
            refused = objects.get(blob.sha256)
            raise (refused and refused.refusal) or error from None
        for sha256, found in content.objects.items():
            found.keep_file(path if sha256 == blob.sha256 else None)
        if self._index.is_cleaning:
            return self._hide(content)
        draft.keep()
        return content

    def _read_objects(
        self, path: Path, blob: StoredBlob, scans: Sequence[UnpackedScan]
    ) -> _Objects:
        """Read the headers of the DICOM files; the upload itself is not in the store yet."""
        files = {file.blob.sha256: file.blob for scan in scans for file in scan.files}
        read = {
            sha256: self._index.read(file, path if file == blob else None)
            for sha256, file in files.items()
        }
        return {sha256: found for sha256, found in read.items() if found is not None}

    def _sort(self, blob: StoredBlob, unpacked: Unpacked, objects: _Objects, path: Path) -> Content:
        scans, namesakes = _drop_namesakes(unpacked.scans, objects)
        scans, beside = _set_beside(scans, objects)
        return Content(
            blob=blob,
            scans=scans,
            left_out=(*unpacked.left_out, *namesakes),
            decoded=self._decode_single(blob, scans, path),
            objects=objects,
            beside=beside,
        )

    def _decode_single(
        self, blob: StoredBlob, scans: Sequence[UnpackedScan], path: Path
    ) -> DecodedScan | None:
        """Decode an upload that is one file, so that it is refused at once where it is no scan."""
        if [len(scan.files) for scan in scans] != [1] or scans[0].files[0].label:
            return None
        only = scans[0].files[0].blob
        place = path if only == blob else self._store.find_path(only.sha256)
        return self._decoders.decode([place or self._store.read(only.sha256)])

    def _hide(self, content: Content) -> Content:
        """Give content that tells nothing of what came but its digest.

        The names of files may name somebody: numbers stand for them, in their order. An upload of
        several files is kept as the list of what was kept of them.
        """
        files = [file for scan in content.scans for file in scan.files]
        files += content.beside
        labels = sorted(
            {*(file.label for file in files), *(each.label for each in content.left_out)}
        )
        numbers = {label: f"{number:05}.dcm" for number, label in enumerate(labels)}
        if len(files) == 1 and not files[0].label:
            blob, numbers = files[0].blob, {"": ""}
        else:
            names = sorted({file.blob.sha256 for file in files})
            blob = self._store.write("".join(f"{name}\n" for name in names).encode())

        def hide(file: UnpackedFile) -> UnpackedFile:
            known = content.objects[file.blob.sha256]
            return replace(file, label=numbers[file.label], identity=known.identity)

        return replace(
            content,
            blob=blob,
            scans=tuple(
                UnpackedScan(tuple(hide(file) for file in scan.files)) for scan in content.scans
            ),
            beside=tuple(hide(file) for file in content.beside),
            left_out=tuple(replace(each, label=numbers[each.label]) for each in content.left_out),
            sent_sha256=content.blob.sha256,
        )


def _drop_namesakes(
    scans: Sequence[UnpackedScan], objects: _Objects
) -> tuple[tuple[UnpackedScan, ...], tuple[LeftOut, ...]]:
    """Leave out objects whose name another one of the upload has: the first stays, as by STOW."""
    left_out: dict[str, LeftOut] = {}
    named: dict[str, str] = {}
    files = [file for scan in scans for file in scan.files]
    for file in sorted(files, key=lambda file: file.label):
        found, sha256 = objects.get(file.blob.sha256), file.blob.sha256
        if found is not None and found.name and named.setdefault(found.name, sha256) != sha256:
            left_out[sha256] = LeftOut(file.label, sha256, DuplicateObject().code)
            del objects[sha256]
    kept = [
        tuple(file for file in scan.files if file.blob.sha256 not in left_out) for scan in scans
    ]
    return tuple(UnpackedScan(files) for files in kept if files), tuple(left_out.values())


def _set_beside(
    scans: Sequence[UnpackedScan], objects: _Objects
) -> tuple[tuple[UnpackedScan, ...], tuple[UnpackedFile, ...]]:
    """Part what is to be scored from DICOM objects that are no scans: reports, captures, maps."""

    def is_scored(file: UnpackedFile) -> bool:
        found = objects.get(file.blob.sha256)
        return found is None or found.is_scored

    parted = [tuple(file for file in scan.files if is_scored(file)) for scan in scans]
    beside = tuple(file for scan in scans for file in scan.files if not is_scored(file))
    return tuple(UnpackedScan(files) for files in parted if files), beside
