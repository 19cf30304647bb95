"""Fitted, calibrated pipeline to a bundle on disk: weights, made-up check scans, card."""

import base64
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from models.appearance import Appearance
from models.bundle import layout
from models.bundle.card import CardFacts, build_card
from models.bundle.manifest import Calibrations, Check, CheckScan, Manifest
from models.bundle.read import Bundle
from models.bundle.write import BundleContent, write_bundle
from models.detector import Detector, unpack_check_scan
from models.pipeline import ScoringPipeline
from models.specs import FixedWindowSpec, NormalizeSpec

# Strength and size of the blob in a made-up scan, as shares of the grey range and of the side.
BLOB_SHARE = 0.5
BLOB_SIGMA_SHARE = 0.06
BLUR_SIGMA_SHARE = 0.02


def collect_weights(pipeline: ScoringPipeline) -> dict[str, Tensor]:
    """Gather everything that is learnt as named tensors on the CPU.

    Raises:
        ValueError: the pipeline has no healthy statistics.
    """
    if pipeline.healthy is None:
        raise ValueError("the pipeline has no healthy statistics yet")
    weights = _prefix(layout.NETWORK_PREFIX, pipeline.network.state_dict())
    if pipeline.features is not None:
        weights |= _prefix(layout.FEATURES_PREFIX, pipeline.features.state_dict())
    for name, scale in pipeline.healthy.scales.items():
        weights[layout.SCALE_PREFIX + name] = torch.from_numpy(scale.healthy.copy())
    for name, pixels in pipeline.healthy.pixels.items():
        weights[layout.PIXELS_MEAN_PREFIX + name] = pixels.mean
        weights[layout.PIXELS_DEVIATION_PREFIX + name] = pixels.deviation
    return weights | _collect_appearance(pipeline.healthy.appearance)


def assemble_detector(
    manifest: Manifest, calibrations: Calibrations, pipeline: ScoringPipeline
) -> Detector:
    """Give the detector as it will be published, before it is on disk; it has no digest yet."""
    draft = Bundle(
        digest="",
        manifest=manifest,
        calibrations=calibrations,
        card="",
        check=Check.model_construct(scans=()),
        weights={},
    )
    return Detector(draft, pipeline)


def publish_bundle(
    detector: Detector, average: NDArray[np.float32], facts: CardFacts, folder: Path
) -> str:
    """Write the bundle once it loads as the service will load it, and give its digest.

    Args:
        detector: as assembled.
        average: float32 [H, W], 0..1, mean of healthy slices; made-up scans are made from it.
        facts: for the card.
        folder: of the bundle; must not be there.

    Raises:
        BundleError: the folder is there already, or the bundle does not reproduce its own check.
    """
    manifest, calibrations = detector.bundle.manifest, detector.bundle.calibrations
    content = BundleContent(
        manifest=manifest,
        calibrations=calibrations,
        card=build_card(manifest, calibrations, facts),
        check=build_check(detector, average),
        weights=collect_weights(detector.pipeline),
    )
    return write_bundle(content, folder, lambda aside: Detector.load(aside, torch.device("cpu")))


def build_check(detector: Detector, average: NDArray[np.float32]) -> Check:
    """Score made-up scans: the average healthy slice, one with a blob, one out of focus.

    Args:
        detector: as assembled.
        average: float32 [H, W], 0..1, mean of healthy slices.
    """
    rows, columns = np.indices(average.shape)
    center = ndimage.center_of_mass(average)
    sigma = BLOB_SIGMA_SHARE * len(average)
    distance = ((rows - center[0]) ** 2 + (columns - center[1]) ** 2) / (2 * sigma**2)
    pictures = {
        "average": average,
        "blob": np.clip(average + BLOB_SHARE * np.exp(-distance), 0.0, 1.0),
        "soft": ndimage.gaussian_filter(average, BLUR_SIGMA_SHARE * len(average)),
    }
    return Check(scans=tuple(_score_made_up(detector, *each) for each in pictures.items()))


def _collect_appearance(appearance: Appearance | None) -> dict[str, Tensor]:
    if appearance is None:
        return {}
    arrays = {"mean": appearance.mean, "precision": appearance.precision, **appearance.changed}
    return _prefix(
        layout.APPEARANCE_PREFIX, {name: torch.from_numpy(a) for name, a in arrays.items()}
    )


def _score_made_up(detector: Detector, name: str, picture: NDArray[np.float32]) -> CheckScan:
    bytes_ = (255.0 * picture).round().astype(np.uint8)
    domain = detector.bundle.manifest.domain
    black, white = _choose_range(detector.pipeline.spec.normalize)
    unscored = CheckScan(
        name=name,
        modality=None if domain.accepts_unstated else domain.modalities[0],
        rows=picture.shape[0],
        columns=picture.shape[1],
        black=black,
        white=white,
        pixels=base64.b64encode(zlib.compress(bytes_.tobytes(), 9)).decode(),
        score=0.0,
        verdict="indeterminate",
    )
    verdict = detector.examine([unpack_check_scan(unscored)])[0].verdict
    if verdict.score is None:
        raise ValueError(f"the made-up scan {name} has no score: {verdict.reason}")
    return unscored.model_copy(update={"score": verdict.score, "verdict": verdict.label})


def _choose_range(spec: NormalizeSpec) -> tuple[float, float]:
    """Give the real values of black and white in a made-up scan."""
    if isinstance(spec.window, FixedWindowSpec):
        return spec.window.low, spec.window.high
    return 0.0, 1.0


def _prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
