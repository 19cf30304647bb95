"""The device that networks run on, by name."""

import torch

from models.errors import UnavailableDevice


def choose_device(name: str) -> torch.device:
    """Give the device `auto` (a GPU where there is one), `cpu` or `cuda`.

    Raises:
        UnavailableDevice: a GPU was asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise UnavailableDevice
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")
