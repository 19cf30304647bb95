"""Hashes to the pairs that differ in few bits, without comparing all with all.

Multi-index hashing (Norouzi, Punjani, Fleet 2012): two hashes that differ in at most r bits are
equal in at least one of r + 1 parts, so only hashes that share a part are compared.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAXIMUM_PAIRS = 100_000

_BLOCK_ROWS = 512


@dataclass(frozen=True, slots=True)
class ClosePairs:
    """What was found.

    `pairs`: int64 [N, 3], first and second place, first < second, and the bits that differ.
    `is_cut`: the search ended at `MAXIMUM_PAIRS`.
    """

    pairs: NDArray[np.int64]
    is_cut: bool


def find_close_pairs(
    hashes: NDArray[np.uint64], groups: NDArray[np.int64], radius_bits: int
) -> ClosePairs:
    """Find all pairs of different groups whose hashes differ in at most `radius_bits`.

    Args:
        hashes: uint64 [N, W], 64 W bits a hash.
        groups: int64 [N], pairs inside a group are left out.
        radius_bits: the largest difference that counts.
    """
    found: dict[tuple[int, int], int] = {}
    bits = np.unpackbits(hashes.view(np.uint8), axis=1)
    for part in range(radius_bits + 1):
        # Every (radius + 1)th bit: neighbours depend on each other and would fill few buckets.
        keys = np.packbits(bits[:, part :: radius_bits + 1], axis=1)
        for bucket in _list_buckets(keys):
            _compare_bucket(bucket, hashes, groups, radius_bits, found)
            if len(found) >= MAXIMUM_PAIRS:
                return ClosePairs(_to_array(found), is_cut=True)
    return ClosePairs(_to_array(found), is_cut=False)


def _list_buckets(keys: NDArray[np.uint8]) -> list[NDArray[np.intp]]:
    """Group the places whose keys are equal, where there are at least two."""
    # The first 64 bits of a longer key are enough: larger buckets, the same pairs.
    padded = np.zeros((len(keys), 8), dtype=np.uint8)
    padded[:, : keys.shape[1]] = keys[:, :8]
    _, inverse, counts = np.unique(padded.view(np.uint64), return_inverse=True, return_counts=True)
    order = np.argsort(inverse.ravel(), kind="stable")
    buckets = np.split(order, np.cumsum(counts)[:-1])
    return [bucket for bucket in buckets if len(bucket) > 1]


def _compare_bucket(
    bucket: NDArray[np.intp],
    hashes: NDArray[np.uint64],
    groups: NDArray[np.int64],
    radius_bits: int,
    found: dict[tuple[int, int], int],
) -> None:
    """Compare the hashes of one bucket, some rows at a time so that memory stays bounded."""
    members, member_groups = hashes[bucket], groups[bucket]
    for start in range(0, len(bucket), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        difference = np.zeros((len(members[rows]), len(members) - start), dtype=np.uint16)
        for word in range(hashes.shape[1]):
            difference += np.bitwise_count(members[rows, None, word] ^ members[None, start:, word])
        is_close = difference <= radius_bits
        is_close &= member_groups[rows, None] != member_groups[None, start:]
        for row, column in np.argwhere(is_close)[:MAXIMUM_PAIRS]:
            first, second = sorted((int(bucket[start + row]), int(bucket[start + column])))
            found[first, second] = int(difference[row, column])
        if len(found) >= MAXIMUM_PAIRS:
            return


def _to_array(found: dict[tuple[int, int], int]) -> NDArray[np.int64]:
    triples = [(first, second, bits) for (first, second), bits in found.items()]
    return np.array(sorted(triples), dtype=np.int64).reshape(-1, 3)
