"""States of a bundle in the registry, a sentence a member, with the allowed moves beside them."""

from enum import StrEnum

from app.errors import MoveNotAllowed


class BundleState(StrEnum):
    """What a bundle is used for."""

    ADDED = "added"
    """It was read and verified, and has not been used yet."""
    CANDIDATE = "candidate"
    """It scores beside the live one; its findings are shown to nobody but administrators."""
    LIVE = "live"
    """Its findings are shown."""
    RETIRED = "retired"
    """It was used and is no more; its findings are kept."""


MOVES: dict[BundleState, frozenset[BundleState]] = {
    BundleState.ADDED: frozenset({BundleState.CANDIDATE, BundleState.LIVE}),
    BundleState.CANDIDATE: frozenset({BundleState.LIVE, BundleState.RETIRED}),
    BundleState.LIVE: frozenset({BundleState.RETIRED}),
    BundleState.RETIRED: frozenset({BundleState.CANDIDATE, BundleState.LIVE}),
}


def check_move(before: BundleState, after: BundleState) -> None:
    """Let a bundle go from one state to another.

    Raises:
        MoveNotAllowed: there is no such way.
    """
    if after not in MOVES[before]:
        raise MoveNotAllowed(f"a bundle that is {before} cannot become {after}")
