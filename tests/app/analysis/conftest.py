"""Engines of the tests: a tiny bundle on the CPU."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.analysis.detection import open_device
from app.analysis.engine import Engine
from app.analysis.scan_queue import BatchLimits

LIMITS = BatchLimits(max_scans=16, max_slices=64, wait_s=0.02, max_waiting_px=10_000_000)


@pytest.fixture
def idle_engine() -> Iterator[Engine]:
    """An engine without a bundle."""
    engine = Engine(lambda: open_device("cpu"), LIMITS)
    engine.start()
    yield engine
    engine.stop(10.0)


@pytest.fixture
def engine(idle_engine: Engine, tiny_bundle: Path) -> Engine:
    """An engine that is ready."""
    idle_engine.choose(idle_engine.load(tiny_bundle), None)
    return idle_engine
