"""What many tests share: one tiny cohort and one tiny bundle, trained once a process."""

from pathlib import Path

import pytest
import torch

from models.detector import Detector
from tests.builders.bundles import train_tiny_bundle
from tests.builders.evaluations import write_lesion_cohort


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag that writes the tables of facts anew."""
    parser.addoption("--rewrite-golden", action="store_true", help="write tests/golden anew")


@pytest.fixture(scope="session")
def tiny_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort of pictures with blobs for lesions; read it, never write to it."""
    return write_lesion_cohort(tmp_path_factory.mktemp("cohort"), has_series=False)


@pytest.fixture(scope="session")
def tiny_bundle(tiny_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle trained on it; copy it before changing anything."""
    folder = tmp_path_factory.mktemp("bundle")
    return train_tiny_bundle(tiny_cohort, folder / "tiny", folder / "work")


@pytest.fixture(scope="session")
def tiny_detector(tiny_bundle: Path) -> Detector:
    """The loaded bundle."""
    return Detector.load(tiny_bundle, torch.device("cpu"))
