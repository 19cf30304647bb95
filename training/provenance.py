"""Where a bundle comes from: versions, seed, cohort, device and durations; no path, no host."""

import os
import platform
from collections.abc import Mapping
from importlib import metadata

import torch

from models.specs import Spec

# What can change a number of a bundle.
PACKAGES = (
    "aegle",
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "scikit-image",
    "pydicom",
    "pillow",
    "tifffile",
    "imagecodecs",
    "nibabel",
    "safetensors",
)


class Provenance(Spec):
    """What it takes to train the same bundle again.

    Weights are equal to the last bit where everything here is equal; another number of threads or
    another device changes the order of sums. `durations_s`: per part of the run.
    """

    recipe_name: str
    recipe_digest: str
    cohort_digest: str
    seed: int
    device: str
    threads: int
    processes: int
    python: str
    machine: str
    packages: Mapping[str, str]
    durations_s: Mapping[str, float]


def list_versions() -> dict[str, str]:
    """Give the version of each installed package that can change a number."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def describe_device(device: torch.device) -> str:
    """Give the kind of device: `cpu`, or the name the GPU's maker gave to its type."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return device.type


def build_provenance(
    names: tuple[str, str, str], seed: int, device: torch.device, durations_s: Mapping[str, float]
) -> Provenance:
    """Describe this run on this machine.

    Args:
        names: recipe's name and digest, and the cohort's digest.
        seed: of the run.
        device: that the network was trained on.
        durations_s: per part of the run.
    """
    recipe_name, recipe_digest, cohort_digest = names
    return Provenance(
        recipe_name=recipe_name,
        recipe_digest=recipe_digest,
        cohort_digest=cohort_digest,
        seed=seed,
        device=describe_device(device),
        threads=torch.get_num_threads(),
        processes=int(os.environ.get("WORLD_SIZE", "1")),
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        packages=list_versions(),
        durations_s={name: round(value, 1) for name, value in durations_s.items()},
    )
