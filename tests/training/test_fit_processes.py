"""Training runs in processes of their own: killed, and several at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
ONE = [sys.executable, "-m"]
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
# Sums over half batches are added in another order; Adam's division magnifies that at first.
PROCESSES_TOLERANCE = 1e-4


def fit_in_processes(launcher: list[str], work: Path, out: Path) -> None:
    command = [*launcher, "tests.builders.fit_process", str(work), str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=200)


def kill_after(step: int, work: Path, out: Path) -> int:
    """Start a run and SIGKILL it when it has announced a step; gives its return code."""
    command = [*ONE, "tests.builders.fit_process", str(work), str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line.removeprefix("step ")) >= step:
                process.kill()
                break
        return process.wait(timeout=60)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    fit_in_processes(ONE, out / "work", out)
    return out


@pytest.mark.slow
def test_a_run_killed_twice_ends_with_the_weights_of_an_unbroken_one(unbroken, tmp_path):
    killed = [kill_after(step, tmp_path / "work", tmp_path) for step in (10, 24)]

    fit_in_processes(ONE, tmp_path / "work", tmp_path)

    assert killed == [-9, -9]
    torch.testing.assert_close(
        load_file(tmp_path / "weights-0.safetensors"),
        load_file(unbroken / "weights-0.safetensors"),
        rtol=0,
        atol=0,
    )


@pytest.mark.slow
def test_two_processes_follow_the_path_of_one(unbroken, tmp_path):
    fit_in_processes(TWO, tmp_path / "work", tmp_path)

    alone = json.loads((unbroken / "losses-0.json").read_text())
    losses = [json.loads((tmp_path / f"losses-{rank}.json").read_text()) for rank in (0, 1)]
    assert losses[0] == losses[1]
    assert losses[0] == pytest.approx(alone, rel=PROCESSES_TOLERANCE)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["checkpoint.safetensors"]
