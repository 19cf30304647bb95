"""The device a command runs on, by name, and how many processors it may use."""

import os
from enum import StrEnum

import torch

from models.errors import UnavailableDevice


class DeviceName(StrEnum):
    """What `--device` takes; `auto` is a GPU where there is one."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def count_processors() -> int:
    """Give the number of processors that this process may run on."""
    return len(os.sched_getaffinity(0))


def choose_device(name: DeviceName) -> torch.device:
    """Give the device of that name.

    Raises:
        UnavailableDevice: a GPU was asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if name is DeviceName.CUDA and not has_gpu:
        raise UnavailableDevice
    return torch.device("cuda" if has_gpu and name is not DeviceName.CPU else "cpu")
