"""Bundle from disk: digests, then specs, then weights; anything that differs is refused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from models.bundle import layout
from models.bundle.manifest import Calibrations, Check, Manifest
from models.bundle.upgrade import upgrade_first_format
from models.bundle.write import digest_file
from models.errors import (
    BundleNotFound,
    DigestMismatch,
    InvalidManifest,
    UnknownBundleVersion,
    WeightsMismatch,
)
from models.specs import Spec

SpecT = TypeVar("SpecT", bound=Spec)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle as read, its digests verified; `weights` are named tensors on the CPU."""

    digest: str
    manifest: Manifest
    calibrations: Calibrations
    card: str
    check: Check
    weights: Mapping[str, Tensor]

    def select_weights(self, prefix: str) -> dict[str, Tensor]:
        """Give the tensors under a prefix, named without it."""
        start = len(prefix)
        return {name[start:]: t for name, t in self.weights.items() if name.startswith(prefix)}


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and verify its digests.

    Raises:
        BundleNotFound: the folder holds no manifest, or a file that the manifest names is missing.
        UnknownBundleVersion: another format version.
        InvalidManifest: the manifest, the calibration or the check cannot be understood.
        DigestMismatch: a file was changed after publishing.
        WeightsMismatch: the weights file is no safetensors file.
    """
    if not layout.is_bundle(folder) or (folder / layout.MANIFEST).is_symlink():
        raise BundleNotFound(f"{folder} holds no {layout.MANIFEST}")
    manifest = read_manifest(folder)
    _verify_digests(folder, manifest)
    try:
        weights = load_file(folder / layout.WEIGHTS)
    except SafetensorError as error:
        raise WeightsMismatch("the weights are not a safetensors file") from error
    return Bundle(
        digest=digest_file(folder / layout.MANIFEST),
        manifest=manifest,
        calibrations=_parse(Calibrations, folder / layout.CALIBRATION),
        card=_read_text(folder / layout.CARD),
        check=_parse(Check, folder / layout.CHECK),
        weights=weights,
    )


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest alone; its digests are not verified.

    Raises:
        UnknownBundleVersion: another format version.
        InvalidManifest: it cannot be understood.
    """
    path = folder / layout.MANIFEST
    try:
        found = json.loads(_read_text(path))
        version = found.get("format_version")
    except (ValueError, AttributeError, RecursionError) as error:
        raise InvalidManifest(f"{path.name} is not a JSON object") from error
    if version == 1 and not isinstance(version, bool):
        return _parse_text(Manifest, json.dumps(upgrade_first_format(found)), path.name)
    if version != layout.FORMAT_VERSION:
        expected = layout.FORMAT_VERSION
        raise UnknownBundleVersion(f"found format version {version!r:.20}, expected {expected}")
    return _parse(Manifest, path)


def _verify_digests(folder: Path, manifest: Manifest) -> None:
    if set(manifest.files) != set(layout.DIGESTED_FILES):
        raise InvalidManifest(f"the manifest must name {', '.join(layout.DIGESTED_FILES)}")
    for name, digest in manifest.files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise BundleNotFound(f"{name} is missing from the bundle")
        if digest_file(path) != digest:
            raise DigestMismatch(f"{name} was changed after the bundle was published")


def _parse(spec: type[SpecT], path: Path) -> SpecT:
    return _parse_text(spec, _read_text(path), path.name)


def _parse_text(spec: type[SpecT], text: str, name: str) -> SpecT:
    try:
        return spec.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidManifest(f"{name}: {place or 'top'}: {first['msg']}") from error


def _read_text(path: Path) -> str:
    size = path.stat().st_size
    if size > layout.LARGEST_TEXT_BYTES:
        raise InvalidManifest(f"{path.name} has {size} bytes, expected a text file")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidManifest(f"{path.name} is not UTF-8 text") from error
