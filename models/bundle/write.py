"""Bundle to disk: written aside, then renamed, so that no half bundle is ever seen."""

import hashlib
import os
import shutil
from collections.abc import Mapping
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


def write_bundle(content: BundleContent, folder: Path) -> str:
    """Write a bundle and give its digest, the SHA-256 of its manifest.

    Raises:
        BundleError: the folder is there already; a published bundle is never written over.
    """
    if folder.exists():
        raise BundleError(f"{folder} is there already; a published bundle is never written over")
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
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
    aside.rename(folder)
    _flush(folder.parent)
    return digest_file(folder / layout.MANIFEST)


def digest_file(path: Path) -> str:
    """Give the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
