"""The device of the engine: torch, and the detectors it loads. Opened by `open_device` alone."""

from contextlib import AbstractContextManager
from pathlib import Path

from models.detector import Detector
from models.device import choose_device
from models.reconstruct import fixed_threads


class TorchDevice:
    """A device by its name."""

    def __init__(self, name: str) -> None:
        self._device = choose_device(name)

    def load(self, folder: Path) -> Detector:
        """Read a bundle, load its network and let it replay its own check."""
        return Detector.load(folder, self._device)

    def fix_threads(self) -> AbstractContextManager[None]:
        """Compute with as many threads in the service as everywhere."""
        return fixed_threads()
