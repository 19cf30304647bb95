"""Bundle to disk: written aside, then renamed, so that no half bundle is ever seen."""

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from models.bundle import layout
from models.bundle.manifest import Calibrations, Check, Manifest
from models.errors import BundleError


@dataclass(frozen=True, slots=True)
class BundleContent:
    """Everything a bundle holds; `weights` are named tensors, any dtype, on the CPU."""

    manifest: Manifest
    calibrations: Calibrations
    card: str
    check: Check
    weights: Mapping[str, Tensor]


def write_bundle(content: BundleContent, folder: Path, try_out: Callable[[Path], object]) -> str:
    """Write a bundle and give its digest, the SHA-256 of its manifest.

    Args:
        content: what it holds.
        folder: of the bundle; must not be there.
        try_out: called with the finished bundle before it gets its name; where it raises, there is
            no bundle.

    Raises:
        BundleError: the folder is there already; a published bundle is never written over.
    """
    if folder.exists() or folder.is_symlink():
        raise BundleError(f"{folder} is there already; a published bundle is never written over")
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        _write_files(content, aside)
        try_out(aside)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _flush(folder.parent)
    return digest_file(folder / layout.MANIFEST)


def digest_file(path: Path) -> str:
    """Give the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_files(content: BundleContent, aside: Path) -> None:
    tensors = {name: tensor.detach().contiguous() for name, tensor in content.weights.items()}
    save_file(tensors, aside / layout.WEIGHTS)
    texts = {
        layout.CALIBRATION: content.calibrations.model_dump_json(indent=2),
        layout.CARD: content.card,
        layout.CHECK: content.check.model_dump_json(indent=2),
    }
    for name, text in texts.items():
        (aside / name).write_text(text, encoding="utf-8")
    digests = {name: digest_file(aside / name) for name in layout.DIGESTED_FILES}
    manifest = content.manifest.model_copy(update={"files": digests})
    (aside / layout.MANIFEST).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    for path in (*aside.iterdir(), aside):
        _flush(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
