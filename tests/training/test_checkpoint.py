import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.errors import InvalidCheckpoint
from training.checkpoint import RunIdentity, read_checkpoint, write_checkpoint

IDENTITY = RunIdentity("recipe", "cohort", 1, 20)
TENSORS = {"network/a": torch.arange(6.0).view(2, 3), "loss/total": torch.tensor(0.5)}
FACTS = {"step": 3, "history": [{"loss": 0.1}]}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "checkpoint.safetensors"


def test_what_was_written_is_read_back(path):
    write_checkpoint(path, TENSORS, FACTS, IDENTITY)

    checkpoint = read_checkpoint(path, IDENTITY)

    assert checkpoint is not None
    torch.testing.assert_close(dict(checkpoint.tensors), TENSORS, rtol=0, atol=0)
    assert checkpoint.facts == FACTS


def test_there_is_none_before_the_first_is_written(path):
    assert read_checkpoint(path, IDENTITY) is None


def test_tensors_of_any_layout_can_be_written(path):
    weights = torch.rand(4, 3, 3, 3).contiguous(memory_format=torch.channels_last)

    write_checkpoint(path, {"network/a": weights}, {}, IDENTITY)

    checkpoint = read_checkpoint(path, IDENTITY)
    assert checkpoint is not None
    assert torch.equal(checkpoint.tensors["network/a"], weights)


def test_a_crash_before_the_renaming_leaves_the_old_checkpoint(path, monkeypatch):
    write_checkpoint(path, TENSORS, FACTS, IDENTITY)
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(path, TENSORS, {"step": 4}, IDENTITY)

    checkpoint = read_checkpoint(path, IDENTITY)
    assert checkpoint is not None
    assert checkpoint.facts == FACTS


def test_half_a_file_of_a_killed_run_is_cleared_away(path):
    write_checkpoint(path, TENSORS, FACTS, IDENTITY)
    left_over = path.with_name(f"{path.name}.123.new")
    left_over.write_bytes(b"half")

    read_checkpoint(path, IDENTITY)

    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (RunIdentity("other", "cohort", 1, 20), "recipe"),
        (RunIdentity("recipe", "other", 1, 20), "cohort"),
        (RunIdentity("recipe", "cohort", 2, 20), "seed"),
        (RunIdentity("recipe", "cohort", 1, 21), "slices"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_the_difference_named(path, other, named):
    write_checkpoint(path, TENSORS, FACTS, IDENTITY)

    with pytest.raises(InvalidCheckpoint, match=f"another training run: {named} differ"):
        read_checkpoint(path, other)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\xff" * 100])
def test_bytes_that_are_no_checkpoint_are_refused(path, content):
    path.write_bytes(content)

    with pytest.raises(InvalidCheckpoint, match="cannot be read"):
        read_checkpoint(path, IDENTITY)


@pytest.mark.parametrize("header", ["", "{}", "[]", json.dumps({"version": 1})])
def test_tensors_without_the_header_of_a_run_are_refused(path, header):
    save_file(TENSORS, path, metadata={"aegle": header})

    with pytest.raises(InvalidCheckpoint, match="no header"):
        read_checkpoint(path, IDENTITY)


def test_another_format_version_is_refused(path):
    header = {"version": 99, "identity": {}, "facts": {}}
    save_file(TENSORS, path, metadata={"aegle": json.dumps(header)})

    with pytest.raises(InvalidCheckpoint, match="version 99, expected 1"):
        read_checkpoint(path, IDENTITY)
