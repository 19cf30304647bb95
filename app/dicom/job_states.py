"""States of what goes out: of a finding that is told as DICOM, and of an object that is pushed."""

from enum import StrEnum


class JobState(StrEnum):
    """How far it has come; a settled job moves no more, unless somebody asks for it again."""

    WAITING = "waiting"
    """It is tried, now or at `due_at`."""
    DONE = "done"
    """The objects are kept; the target took the object."""
    FAILED = "failed"
    """It was tried as often as may be; `failure_code` says why the last try failed."""
    LEFT_OUT = "left_out"
    """There is nothing to do: the scan is no DICOM, or has grown since."""
