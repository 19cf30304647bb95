"""What a command line says of the machine: the device by name, how many processors are there."""

import os
from enum import StrEnum


class DeviceName(StrEnum):
    """What `--device` takes; `auto` is a GPU where there is one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def count_processors() -> int:
    """Give the number of processors that this process may run on."""
    return len(os.sched_getaffinity(0))
