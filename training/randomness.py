"""Where every random number of a training run comes from: seed, purpose and index, nothing else.

Generators are made anew for each step instead of being carried along: a run that is resumed, or
spread over processes, draws the same numbers without any state to save.
"""

import hashlib

import torch


def make_generator(seed: int, purpose: str, index: int) -> torch.Generator:
    """Make the generator on the CPU that belongs to one step of one purpose.

    Args:
        seed: of the training run.
        purpose: what is drawn: `batch`, `motion`.
        index: which step, or which epoch.
    """
    return torch.Generator().manual_seed(derive_seed(seed, purpose, index))


def derive_seed(seed: int, purpose: str, index: int) -> int:
    """Give a seed of 63 bits that depends on all three, and is unlike its neighbours'."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
