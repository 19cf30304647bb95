"""An interrupted training run on disk: one safetensors file, replaced as a whole or not at all.

Tensors are the tensors of the file; everything else is one JSON text in its header. One file, not
two, because two cannot be renamed at once.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.errors import InvalidCheckpoint

CHECKPOINT_VERSION = 1
FACTS_KEY = "aegle"

Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """What must be the same for a run to be continued: another recipe, cohort or seed may not."""

    recipe_digest: str
    cohort_digest: str
    seed: int
    slices: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was read: tensors by name, and the facts beside them."""

    tensors: Mapping[str, Tensor]
    facts: Facts


def write_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], facts: Facts, identity: RunIdentity
) -> None:
    """Write aside, flush to the disk, rename: a kill at any moment leaves the old or the new one.

    Args:
        path: of the checkpoint; its folder is there.
        tensors: by name, on any device.
        facts: anything that JSON can say.
        identity: of the run.
    """
    header = {"version": CHECKPOINT_VERSION, "identity": _describe(identity), "facts": dict(facts)}
    aside = path.with_name(f"{path.name}.{os.getpid()}.new")
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(contiguous, aside, metadata={FACTS_KEY: json.dumps(header)})
        _flush(aside)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    _flush(path.parent)


def read_checkpoint(path: Path, identity: RunIdentity) -> Checkpoint | None:
    """Read the checkpoint of this very run; None where there is none yet.

    Raises:
        InvalidCheckpoint: unreadable, of another format version, or of another run.
    """
    for left_over in path.parent.glob(f"{path.name}.*.new"):  # of a run killed while writing
        left_over.unlink(missing_ok=True)
    if not path.exists():
        return None
    tensors, text = _read_file(path)
    try:
        header = json.loads(text)
        version, found, facts = header["version"], header["identity"], header["facts"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidCheckpoint(f"{path.name} has no header of a training run") from error
    if version != CHECKPOINT_VERSION:
        raise InvalidCheckpoint(f"{path.name} has version {version}, expected {CHECKPOINT_VERSION}")
    _check_identity(found, _describe(identity))
    return Checkpoint(tensors, facts)


def _read_file(path: Path) -> tuple[dict[str, Tensor], str]:
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(FACTS_KEY, "")
            # Cloned out of the mapped file, which the next checkpoint replaces.
            return {name: file.get_tensor(name).clone() for name in file.keys()}, text  # noqa: SIM118 - safe_open is no mapping
    except (SafetensorError, OSError) as error:
        raise InvalidCheckpoint(f"{path.name} cannot be read: {error}") from error


def _describe(identity: RunIdentity) -> dict[str, object]:
    return {
        "recipe": identity.recipe_digest,
        "cohort": identity.cohort_digest,
        "seed": identity.seed,
        "slices": identity.slices,
    }


def _check_identity(found: Mapping[str, object], expected: Mapping[str, object]) -> None:
    differing = [key for key in expected if found.get(key) != expected[key]]
    if differing:
        raise InvalidCheckpoint(
            f"the checkpoint belongs to another training run: {', '.join(differing)} differ; "
            "remove the work folder to begin anew"
        )


def _flush(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems cannot flush a folder
            os.fsync(handle)
    finally:
        os.close(handle)
