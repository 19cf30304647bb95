"""States of a job, a sentence a member, with the allowed moves beside them."""

from enum import StrEnum

from app.errors import MoveNotAllowed


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    """Its cases are being fixed, or are and nobody has begun."""
    RUNNING = "running"
    """Some process works on it, or did until it was stopped; another goes on."""
    CANCELLING = "cancelling"
    """Nothing new is begun; what is in work is given up."""
    CANCELLED = "cancelled"
    """It was ended early; what it had committed stays."""
    DONE = "done"
    """Each of its cases is scored, skipped or failed."""
    FAILED = "failed"
    """Its bundle cannot be used; `reason` says why."""


MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.WAITING: frozenset(
        {JobState.RUNNING, JobState.CANCELLING, JobState.DONE, JobState.FAILED}
    ),
    JobState.RUNNING: frozenset({JobState.CANCELLING, JobState.DONE, JobState.FAILED}),
    JobState.CANCELLING: frozenset({JobState.CANCELLED}),
    JobState.CANCELLED: frozenset(),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
}
ENDED = frozenset(state for state, after in MOVES.items() if not after)
OPEN = frozenset({JobState.WAITING, JobState.RUNNING})


def check_move(before: JobState, after: JobState) -> None:
    """Let a job go from one state to another.

    Raises:
        MoveNotAllowed: there is no such way.
    """
    if after not in MOVES[before]:
        raise MoveNotAllowed(f"a job that is {before} cannot become {after}")
