"""What the service needs of a detector, told without torch: that is loaded with the first bundle.

A service that has no bundle takes scans in all the same, in half the memory.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from models.decoding.scan import DecodedScan
from models.regions import Region
from models.verdict import Verdict

_DEVICE_MODULE = "app.analysis.device"


class Measured(Protocol):
    """A scan whose error was measured."""

    @property
    def scan(self) -> DecodedScan:
        """The scan."""

    @property
    def reconstruction(self) -> Any:  # noqa: ANN401 - it holds tensors
        """What was redrawn: `models.networks.reconstruction.Reconstruction`."""


class Scored(Protocol):
    """What the road gives for one scan: `models.pipeline.ScoredScan`."""

    @property
    def measured(self) -> Measured:
        """What was measured."""

    @property
    def slice_scores(self) -> NDArray[np.float64]:
        """Float64 [S], Gaussian quantiles among healthy scans."""

    @property
    def head_scores(self) -> Mapping[str, NDArray[np.float64]]:
        """The same for each head alone."""

    def restore_error_map(self) -> NDArray[np.float32]:
        """Give the region map as float32 [S, H, W], multiples of the threshold, original pixels."""

    def restore_reconstruction(self) -> NDArray[np.float32]:
        """Give the reconstruction as float32 [S, H, W], real units, original pixels."""


class Finding(Protocol):
    """What a bundle says of one scan: `models.detector.Finding`."""

    @property
    def verdict(self) -> Verdict:
        """Of the scan."""

    @property
    def scored(self) -> Scored | None:
        """What was measured; None where the scan cannot be looked at."""

    @property
    def regions(self) -> tuple[Region, ...]:
        """Where the scan is unlike healthy ones, the strangest first."""


class LoadedDetector(Protocol):
    """A bundle on the device: `models.detector.Detector`."""

    @property
    def digest(self) -> str:
        """Of the bundle."""

    def examine(self, scans: Sequence[DecodedScan]) -> Sequence[Finding]:
        """Give a finding for each scan."""

    def replay_check(self) -> None:
        """Compare the scores of the bundle's own scans with those it holds."""


class Device(Protocol):
    """Where networks run: `app.analysis.device.TorchDevice`."""

    def load(self, folder: Path) -> LoadedDetector:
        """Load a bundle.

        Raises:
            BundleError: the bundle may not be used; the leaf says why.
        """

    def fix_threads(self) -> AbstractContextManager[None]:
        """Let equal scans score equally everywhere."""


def open_device(name: str) -> Device:
    """Load torch and choose the device: `auto` (a GPU where there is one), `cpu` or `cuda`.

    Raises:
        UnavailableDevice: a GPU was asked for and there is none.
    """
    # By name: whoever imports this module, such as the pages, must not load torch with it.
    return cast(Device, import_module(_DEVICE_MODULE).TorchDevice(name))
