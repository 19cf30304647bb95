"""Resident memory with 100,000 cached slices against that with 1,000."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.ratio import Ratio
from tests.builders.slice_memory import measure_slice_memory

NAME = "memory, 100,000 scans against 1,000"
BAR = 1.05
FEW, MANY = 1_000, 100_000
MEBI = 2**20


def measure_memory() -> Ratio:
    """Write and read both caches, each in a process of its own."""
    many, few = (_measure_apart(count) for count in (MANY, FEW))
    return Ratio(NAME, many / MEBI, few / MEBI, "MiB resident", BAR, "at most")


def _measure_apart(count: int) -> float:
    command = [sys.executable, "-m", "tests.bench.memory", str(count)]
    ended = subprocess.run(command, capture_output=True, check=True, text=True)
    return float(json.loads(ended.stdout))


def _measure(count: int) -> int:
    """Give the resident bytes of this process at their highest, torch and all."""
    with tempfile.TemporaryDirectory(prefix="aegle-bench-") as folder:
        measure_slice_memory(Path(folder), count)
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_measure(int(sys.argv[1]))))
