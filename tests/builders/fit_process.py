"""One training run in a process of its own, to be killed or to be one of several.

`python -m tests.builders.fit_process WORK OUT` fits the tiny network and writes its weights and
losses under OUT, one file per process; every step is announced on standard output.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.builders.fitting import MemorySlices, RecordedProgress, make_recipe
from training.distributed import join_group
from training.fit import FitRun, fit_network
from training.fit_state import HistoryPoint


class AnnouncedProgress(RecordedProgress):
    def note(self, point: HistoryPoint) -> None:
        super().note(point)
        sys.stdout.write(f"step {point.step}\n")
        sys.stdout.flush()


def fit_tiny(work: Path, out: Path) -> None:
    torch.set_num_threads(1)
    progress = AnnouncedProgress()
    with join_group(torch.device("cpu")) as (group, device):
        run = FitRun(work, "c0ffee", 0, device, group)
        fitted = fit_network(make_recipe(), MemorySlices(20), MemorySlices(12), run, progress)
    out.mkdir(parents=True, exist_ok=True)
    save_file(fitted.network.state_dict(), out / f"weights-{group.rank}.safetensors")
    losses = [point.loss for point in fitted.history]
    (out / f"losses-{group.rank}.json").write_text(json.dumps(losses))


if __name__ == "__main__":
    fit_tiny(Path(sys.argv[1]), Path(sys.argv[2]))
