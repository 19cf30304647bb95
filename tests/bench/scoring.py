"""Scans a second of `aegle score` against decoding plus a bare forward pass."""

import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from models.bundle.card import CardFacts
from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.detector import Detector
from models.networks.build import build_network
from models.pipeline import ScoringPipeline
from tests.bench.ratio import Ratio, compare_rates
from tests.builders.cohorts import Row, make_picture, write_cohort
from tests.builders.evaluations import calibrate_pipeline
from tests.builders.scans import make_dicom
from training.cohort import read_cohort
from training.device import count_processors
from training.publish import publish_bundle
from training.recipe import read_recipe
from training.score_files import list_sources
from training.scorers import ScorerSpec, open_scorers

NAME = "scoring from files, against decode and bare forward"
BAR = 0.7
SIDE_PX = 512
FILES = 64
# Each file is scored so often; the processes have started, as they have after some hundred scans.
TIMES = 4
LIMITS = DecodeLimits()
CPU = torch.device("cpu")


def measure_scoring(folder: Path, rounds: int) -> Ratio:
    """Score PNG and DICOM files of 512 px with the default recipe's pipeline."""
    bundle = publish_default_bundle(folder / "bundle")
    files = _write_files(folder / "files")
    pipeline = Detector.load(bundle, CPU).pipeline
    spec = ScorerSpec(bundle, CPU, LIMITS)
    with open_scorers(spec, count_processors()) as score_all:

        def score(paths: list[Path]) -> float:
            started = time.perf_counter()
            scored = list(score_all(list_sources(paths, LIMITS)))
            seconds = time.perf_counter() - started
            if any(each.verdict is None for each in scored):
                raise RuntimeError("a file of the benchmark could not be scored")
            return len(scored) / seconds

        score(files)
        measured = [(score(TIMES * files), _forward(pipeline, files)) for _ in range(rounds)]
    return Ratio(NAME, *compare_rates(measured), "scans/s", BAR, "at least")


def publish_default_bundle(folder: Path) -> Path:
    """Publish a bundle of the default recipe around a network that was never fitted."""
    detector = _build_default_detector(folder.parent)
    side = detector.pipeline.spec.normalize.size_px
    average = np.mean([make_picture(seed, side) for seed in range(8)], axis=0) / 255.0
    publish_bundle(detector, average.astype(np.float32), CardFacts((), {}, {}, 0), folder)
    return folder


def _build_default_detector(folder: Path) -> Detector:
    """Give a calibrated detector with the default pipeline; its network was never fitted."""
    rows = [Row(f"train/{number}.png", patient=str(number)) for number in range(40)]
    cohort = read_cohort(write_cohort(folder / "cohort", rows, side_px=128))
    spec = read_recipe("default").pipeline
    network = build_network(spec.network, torch.Generator().manual_seed(0))
    return calibrate_pipeline(spec, network, cohort)


def _write_files(folder: Path) -> list[Path]:
    folder.mkdir()
    files = []
    for number in range(FILES):
        small = Image.fromarray(make_picture(number, 128))
        pixels = np.asarray(small.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))
        path = folder / f"{number}.{'png' if number % 2 else 'dcm'}"
        if number % 2:
            Image.fromarray(pixels).save(path)
        else:
            path.write_bytes(make_dicom(pixels, number + 1, Modality="DX"))
        files.append(path)
    return files


def _forward(pipeline: ScoringPipeline, files: list[Path]) -> float:
    """Give scans a second of decoding each file and one forward pass of a tensor of that size."""
    network = pipeline.network
    side = pipeline.spec.normalize.size_px
    image = torch.rand(1, 1, side, side).contiguous(memory_format=torch.channels_last)
    started = time.perf_counter()
    with torch.inference_mode():
        for path in files:
            decode_scan(path, LIMITS)
            network(image)
    return len(files) / (time.perf_counter() - started)
