import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from models.decoding.limits import DecodeLimits
from models.errors import TrainingError
from models.normalize import normalize_scan
from models.specs import NormalizeSpec
from tests.builders.cohorts import Row, make_picture, write_cohort, write_csv, write_picture
from training.cohort import read_cohort
from training.dataset import decode_cohort_scan
from training.slice_cache import SliceCacheSpec, compute_cache_key, open_slice_cache

ROOT = Path(__file__).parents[2]
LIMITS = DecodeLimits()
SPEC = SliceCacheSpec(normalize=NormalizeSpec(size_px=16), maximum_unread_share=0.5)
# Half a step of 16 bits, and the last bit of a float32.
ROUNDING = 0.5 / 65535 + 1e-7


def open_cache(scans, folder, spec=SPEC, workers=0, progress=lambda _done, _total: None):
    return open_slice_cache(scans, spec, LIMITS, folder, workers=workers, progress=progress)


@pytest.fixture
def scans(tmp_path):
    rows = [Row(f"{i}.png", patient=f"p{i // 2}") for i in range(4)]
    rows += [Row(f"s{i}.png", patient="q", series="v") for i in range(3)]
    write_cohort(tmp_path / "cohort", rows)
    return read_cohort(tmp_path / "cohort").scans("train")


def test_a_slice_comes_back_as_it_was_normalized(scans, tmp_path):
    dataset = open_cache(scans, tmp_path / "cache").select(scans)

    assert len(dataset) == 7
    for index in range(len(dataset)):
        image, foreground = dataset[index]
        scan = decode_cohort_scan(scans[int(dataset.scan_index[index])], LIMITS)
        expected = normalize_scan(scan, SPEC.normalize)
        number = int(dataset.slice_index[index])
        assert (image.dtype, foreground.dtype) == (torch.float32, torch.bool)
        assert image.shape == foreground.shape == (1, 16, 16)
        assert torch.equal(foreground, expected.foreground[number])
        assert (image - expected.image[number]).abs().max() <= ROUNDING


def test_black_and_white_come_back_exactly(scans, tmp_path):
    image, _ = open_cache(scans, tmp_path).select(scans).read_batch(range(7))

    assert image.min() == 0.0
    assert image.max() == 1.0


def test_the_slices_of_a_fold_are_those_of_its_scans(scans, tmp_path):
    cache = open_cache(scans, tmp_path)

    dataset = cache.select(scans.select([4, 1]))

    assert dataset.scan_index.tolist() == [1, 4, 4, 4]
    assert dataset.slice_index.tolist() == [0, 0, 1, 2]
    patients = cache.find_patients(dataset)
    assert patients.tolist() == [0, 2, 2, 2]


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_data_loader_reads_the_same_slices_in_its_own_processes(scans, tmp_path, workers):
    dataset = open_cache(scans, tmp_path).select(scans)
    loader = DataLoader(
        dataset,
        batch_size=4,
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )

    images = torch.cat([image for image, _ in loader])

    assert torch.equal(images, dataset.read_batch(range(7))[0])


def test_bounded_child_processes_give_the_same_slices(scans, tmp_path):
    alone = open_cache(scans, tmp_path / "alone").select(scans).read_batch(range(7))
    helped = open_cache(scans, tmp_path / "helped", workers=2).select(scans).read_batch(range(7))

    assert torch.equal(alone[0], helped[0])
    assert torch.equal(alone[1], helped[1])


def test_a_second_opening_decodes_nothing(scans, tmp_path):
    open_cache(scans, tmp_path)
    calls = []

    open_cache(scans, tmp_path, progress=lambda done, total: calls.append((done, total)))

    assert calls == []


KILLED_RUN = """
import os, signal, sys
from pathlib import Path
import training.slice_file
from models.decoding.limits import DecodeLimits
from training.cohort import read_cohort
from training.slice_cache import SliceCacheSpec, open_slice_cache

def kill(done, total):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)

training.slice_file._SCANS_A_COMMIT = 2
scans = read_cohort(Path(sys.argv[1])).scans("train")
spec = SliceCacheSpec.model_validate_json(sys.argv[3])
open_slice_cache(scans, spec, DecodeLimits(), Path(sys.argv[2]), workers=0, progress=kill)
"""


def test_a_killed_run_goes_on_after_the_last_scan_that_was_safe(scans, tmp_path):
    whole = open_cache(scans, tmp_path / "whole").select(scans).read_batch(range(7))
    cut = tmp_path / "cut"
    command = [sys.executable, "-c", KILLED_RUN, tmp_path / "cohort", cut, SPEC.model_dump_json()]
    killed = subprocess.run(command, check=False, cwd=ROOT)
    (partial,) = cut.glob("*.partial")
    for name in ("slices.bin", "journal.jsonl"):
        with (partial / name).open("ab") as file:
            file.write(b'{"name": "torn')
    calls = []

    cache = open_cache(scans, cut, progress=lambda done, _total: calls.append(done))

    assert killed.returncode == -signal.SIGKILL
    assert calls == [3, 4, 5]
    resumed = cache.select(scans).read_batch(range(7))
    assert torch.equal(whole[0], resumed[0])
    assert torch.equal(whole[1], resumed[1])
    assert not partial.exists()


def test_scans_that_cannot_be_read_are_listed_with_their_reason(scans, tmp_path):
    (tmp_path / "cohort/1.png").write_bytes(b"not a picture")
    write_picture(tmp_path / "cohort/2.png", np.zeros((32, 32), dtype=np.uint8))

    cache = open_cache(scans, tmp_path)

    assert [(scan.index, scan.name, scan.code) for scan in cache.unread] == [
        (1, "1.png", "unknown_format"),
        (2, "2.png", "empty_foreground"),
    ]
    assert cache.scan_index.tolist() == [0, 3, 4, 4, 4]


def test_too_many_unread_scans_stop_the_run(scans, tmp_path):
    (tmp_path / "cohort/1.png").write_bytes(b"not a picture")
    spec = SPEC.model_copy(update={"maximum_unread_share": 0.1})

    with pytest.raises(TrainingError, match=r"1 of 5 scans .* 10% may: 1.png \(unknown_format\)"):
        open_cache(scans, tmp_path, spec)


def test_nearly_empty_slices_are_left_out(tmp_path):
    nearly_empty = np.zeros((32, 32), dtype=np.uint8)
    nearly_empty[:3, :3] = 200
    write_picture(tmp_path / "b.png", nearly_empty)
    write_cohort(tmp_path, [Row("a.png", series="v"), Row("b.png", series="v")])
    scans = read_cohort(tmp_path).scans("train")

    cache = open_cache(scans, tmp_path / "cache")

    assert cache.slice_index.tolist() == [0]


def test_a_cohort_of_nothing_but_nearly_empty_slices_is_refused(scans, tmp_path):
    spec = SPEC.model_copy(update={"minimum_foreground_share": 1.0})

    with pytest.raises(TrainingError, match="no slice shows enough"):
        open_cache(scans, tmp_path, spec)


def change_spec(_scans, spec):
    return spec.model_copy(update={"normalize": NormalizeSpec(size_px=32)})


def change_file(scans, spec):
    write_picture(scans[0].rows[0].path, make_picture(99, side_px=40))
    return spec


def touch_file(scans, spec):
    os.utime(scans[0].rows[0].path, (time.time() + 5, time.time() + 5))
    return spec


@pytest.mark.parametrize("change", [change_spec, change_file, touch_file])
def test_another_spec_or_another_file_gives_another_cache(scans, change):
    before = compute_cache_key(scans, SPEC, LIMITS)

    spec = change(scans, SPEC)

    assert compute_cache_key(scans, spec, LIMITS) != before


def test_another_patient_column_gives_the_same_cache(scans, tmp_path):
    before = compute_cache_key(scans, SPEC, LIMITS)
    rows = [
        Row(row.path.name, patient="x", series=row.series or "") for s in scans for row in s.rows
    ]
    write_csv(tmp_path / "cohort", rows)

    again = read_cohort(tmp_path / "cohort").scans("train")

    assert compute_cache_key(again, SPEC, LIMITS) == before
