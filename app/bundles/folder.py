"""Bundles on disk: one folder each, named by its digest, put there whole or not at all."""

import json
import os
import shutil
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from app.errors import StorageFull
from models.bundle import layout
from models.bundle.manifest import Manifest
from models.bundle.upgrade import upgrade_first_format
from models.errors import BundleError, BundleNotFound, InvalidManifest

_NAMES = frozenset({layout.MANIFEST, *layout.DIGESTED_FILES})
_CHUNK_BYTES = 1024 * 1024


class BundleFolder:
    """The folder of all bundles."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._max_bytes = max_bytes

    def find(self, digest: str) -> Path:
        """Give the folder of a bundle.

        Raises:
            BundleNotFound: it is not on this machine.
        """
        path = self._folder / digest
        if not layout.is_bundle(path):
            raise BundleNotFound("the registered bundle is not on this machine")
        return path

    def unpack(self, archive: Path) -> Path:
        """Unpack a zip of a bundle into a folder of its own, to be adopted or thrown away.

        Raises:
            BundleError: it holds something else than the files of one bundle, or too much.
        """
        aside = self._open_aside()
        try:
            self._extract(archive, aside)
        except BaseException:
            self.discard(aside)
            raise
        return aside

    def copy(self, source: Path) -> Path:
        """Copy the files of a bundle into a folder of its own, to be adopted or thrown away."""
        aside = self._open_aside()
        for name in sorted(_NAMES):
            if (source / name).is_file():
                shutil.copyfile(source / name, aside / name)
        return aside

    def adopt(self, aside: Path, digest: str) -> Path:
        """Put a verified bundle in its place, durably; one that is there stays."""
        target = self._folder / digest
        if layout.is_bundle(target):
            self.discard(aside)
            return target
        for path in (*aside.iterdir(), aside):
            _flush(path)
        aside.rename(target)
        _flush(self._folder)
        return target

    def discard(self, aside: Path) -> None:
        """Throw away what was unpacked."""
        shutil.rmtree(aside, ignore_errors=True)

    def read_manifest(self, digest: str) -> Manifest:
        """Read the manifest of a bundle that was verified, of any format that is known."""
        text = self.read_text(digest, layout.MANIFEST)
        found = json.loads(text)
        if found.get("format_version") != layout.FORMAT_VERSION:
            text = json.dumps(upgrade_first_format(found))
        return Manifest.model_validate_json(text)

    def read_text(self, digest: str, name: str) -> str:
        """Read a text file of a bundle."""
        return (self.find(digest) / name).read_text(encoding="utf-8")

    def _open_aside(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="incoming-", dir=self._folder))

    def _extract(self, archive: Path, aside: Path) -> None:
        try:
            with zipfile.ZipFile(archive) as opened:
                entries = [entry for entry in opened.infolist() if not entry.is_dir()]
                _check_entries(entries, self._max_bytes)
                for entry in entries:
                    _copy_entry(opened, entry, aside / PurePosixPath(entry.filename).name)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
            raise BundleNotFound("the upload is not a zip that can be read") from None
        except OSError as error:
            raise StorageFull from error


def _check_entries(entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    names = [PurePosixPath(entry.filename) for entry in entries]
    if {path.name for path in names} != _NAMES or len(names) != len(_NAMES):
        raise InvalidManifest(f"expected a zip of {', '.join(sorted(_NAMES))} and nothing else")
    if len({path.parent for path in names}) != 1 or len(names[0].parts) > 2:
        raise InvalidManifest("the files of the bundle must lie in one folder of the zip")
    if sum(entry.file_size for entry in entries) > max_bytes:
        raise BundleError(f"the bundle is larger than {max_bytes} bytes")


def _copy_entry(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    left = entry.file_size
    with opened.open(entry) as source, target.open("wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise BundleError("a file of the bundle is larger than it says")
            file.write(chunk)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
