"""A training run that is killed goes on, and ends with the weights of an unbroken one."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models.bundle.layout import WEIGHTS
from tests.builders.bundles import TINY_RECIPE
from tests.builders.command_line import make_command, make_environment, run_aegle
from tests.builders.evaluations import write_lesion_cohort

pytestmark = pytest.mark.slow

PATIENCE_S = 120.0


def make_words(place: Path, out: str) -> list[str]:
    return [
        "train", str(place / "cohort"), "--recipe", str(place / "tiny.toml"),
        "--out", str(place / out), "--work", str(place / f"work-{out}"),
    ]  # fmt: skip


def wait_for_checkpoint(work: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a first checkpoint is there, while the run still goes on."""
    end = time.monotonic() + PATIENCE_S
    while not list(work.glob("*/checkpoint.safetensors")):
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_run_killed_with_9_resumes_to_the_weights_of_an_unbroken_run(tmp_path):
    # Only the healthy training scans: a test split would be measured, which takes time.
    write_lesion_cohort(tmp_path / "cohort", has_series=False)
    table = tmp_path / "cohort/cohort.csv"
    kept = [line for line in table.read_text().splitlines() if ",test," not in line]
    table.write_text("\n".join(kept) + "\n")
    (tmp_path / "tiny.toml").write_text(TINY_RECIPE)
    unbroken = run_aegle(*make_words(tmp_path, "unbroken"), cwd=tmp_path)
    assert unbroken.returncode == 0, unbroken.stderr

    command = make_command(*make_words(tmp_path, "killed"))
    process = subprocess.Popen(
        command, cwd=tmp_path, env=make_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for_checkpoint(tmp_path / "work-killed", process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed").exists()
    resumed = run_aegle(*make_words(tmp_path, "killed"), cwd=tmp_path)

    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    expected = load_file(tmp_path / "unbroken" / WEIGHTS)
    found = load_file(tmp_path / "killed" / WEIGHTS)
    assert found.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
