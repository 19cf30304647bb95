"""The road with a bundle: scans in, findings out."""

import base64
import binascii
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from models.appearance import Appearance
from models.bundle import layout
from models.bundle.manifest import CheckScan
from models.bundle.read import Bundle, read_bundle
from models.decoding.scan import DecodedScan
from models.error_map import HealthyPixels
from models.errors import CheckFailed, UnscorableScan, WeightsMismatch
from models.networks.build import build_skeleton
from models.networks.descriptor import SIZE as DESCRIPTOR_SIZE
from models.networks.perceptual import build_perceptual_features
from models.networks.reconstruction import Network
from models.pipeline import (
    HealthyStatistics,
    MeasuredScan,
    PreparedScan,
    ScoredScan,
    ScoringPipeline,
    list_error_maps,
    name_error_map,
)
from models.regions import Region
from models.score import HeadScale
from models.specs import PipelineSpec
from models.verdict import Verdict, decide, refuse

# A bundle's check may differ by this much, in Gaussian quantiles, between devices and releases.
CHECK_TOLERANCE = 1e-3
NO_BODY = "Nothing of the body is left to look at once its border is taken off."


@dataclass(frozen=True, slots=True)
class Finding:
    """What a bundle says of one scan; `scored` is None where the scan cannot be looked at."""

    verdict: Verdict
    scored: ScoredScan | None

    @property
    def regions(self) -> tuple[Region, ...]:
        """Where the scan is unlike healthy ones, the strangest first."""
        return self.scored.regions if self.scored else ()


class Detector:
    """A bundle loaded on one device."""

    def __init__(self, bundle: Bundle, pipeline: ScoringPipeline) -> None:
        self.bundle = bundle
        self.pipeline = pipeline

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> Self:
        """Read a bundle, load its network and let it replay its own check.

        Raises:
            BundleError: the bundle may not be used; the leaf says why.
        """
        bundle = read_bundle(folder)
        detector = cls(bundle, load_pipeline(bundle, device))
        detector.replay_check()
        return detector

    @property
    def digest(self) -> str:
        """SHA-256 of the bundle's manifest."""
        return self.bundle.digest

    def examine(self, scans: Sequence[DecodedScan]) -> list[Finding]:
        """Score scans in one batch and say how unusual each is.

        A scan that cannot be looked at is indeterminate, and spoils no other.
        """
        prepared = [self._prepare(scan) for scan in scans]
        usable = [each for each in prepared if isinstance(each, PreparedScan)]
        measured = iter(self.pipeline.measure(usable) if usable else ())
        return [
            self._conclude(next(measured))
            if isinstance(each, PreparedScan)
            else Finding(refuse(each), None)
            for each in prepared
        ]

    def find_objection(self, measured: MeasuredScan) -> str | None:
        """Say why a scan is outside the bundle's domain; None where it is inside."""
        domain = self.bundle.manifest.domain
        return domain.find_objection(measured.scan, measured.statistics, measured.look)

    def replay_check(self) -> None:
        """Score the made-up scans of the bundle again.

        Raises:
            CheckFailed: a score or a verdict is not what it was when the bundle was published.
        """
        for expected in self.bundle.check.scans:
            found = self.examine([unpack_check_scan(expected)])[0].verdict
            is_near = found.score is not None and (
                abs(found.score - expected.score) <= CHECK_TOLERANCE
            )
            if not is_near or found.label != expected.verdict:
                raise CheckFailed(
                    f"check scan {expected.name}: found {found.label} {found.score}, "
                    f"expected {expected.verdict} {expected.score}"
                )

    def _prepare(self, scan: DecodedScan) -> PreparedScan | str:
        """Normalize one scan, or say why it cannot be looked at."""
        try:
            return self.pipeline.prepare(scan)
        except UnscorableScan as error:
            return str(error)

    def _conclude(self, measured: MeasuredScan) -> Finding:
        scored = self.pipeline.score_measured(measured)
        objection = self.find_objection(measured)
        if objection is None and not measured.has_body:
            objection = NO_BODY
        calibration = self.bundle.calibrations.choose(measured.scan.slice_count)
        return Finding(decide(scored.score, calibration, reason=objection), scored)


def load_pipeline(bundle: Bundle, device: torch.device) -> ScoringPipeline:
    """Build the pipeline of a bundle on a device.

    Raises:
        WeightsMismatch: the tensors do not fit what the manifest describes.
    """
    spec = bundle.manifest.pipeline
    network = build_skeleton(spec.network)
    _refuse_strays(bundle)
    _fill(network, bundle, layout.NETWORK_PREFIX)
    network.to(device)
    features = None
    if "perceptual" in {error_map.distance for error_map in list_error_maps(spec)}:
        features = build_perceptual_features(bundle.select_weights(layout.FEATURES_PREFIX))
    return ScoringPipeline(spec, _freeze(network), _load_healthy(bundle, spec), features)


def unpack_check_scan(check: CheckScan) -> DecodedScan:
    """Give a made-up scan of a bundle as if it had been decoded.

    Raises:
        CheckFailed: its pixels cannot be unpacked.
    """
    size = check.rows * check.columns
    try:
        flat = zlib.decompressobj().decompress(base64.b64decode(check.pixels), size + 1)
        pixels = np.frombuffer(flat, dtype=np.uint8).reshape(1, check.rows, check.columns)
    except (ValueError, binascii.Error, zlib.error) as error:
        raise CheckFailed(f"check scan {check.name} holds no {check.rows} x {check.columns}") from (
            error
        )
    shares = pixels.astype(np.float32) / np.float32(255.0)
    return DecodedScan(
        pixels=check.black + shares * np.float32(check.white - check.black),
        sha256="",
        format="check",
        bit_depth=8,
        modality=check.modality,
    )


def _refuse_strays(bundle: Bundle) -> None:
    strays = [name for name in bundle.weights if not name.startswith(layout.PREFIXES)]
    if strays:
        raise WeightsMismatch(f"found {len(strays)} tensors that no stage asks for")


def _fill(network: nn.Module, bundle: Bundle, prefix: str) -> None:
    try:
        network.load_state_dict(bundle.select_weights(prefix), strict=True, assign=True)
    except RuntimeError as error:
        raise WeightsMismatch(f"the tensors under {prefix} do not fit the manifest") from error


def _freeze(network: Network) -> Network:
    for parameter in network.parameters():
        parameter.requires_grad = False
    return network


def _load_healthy(bundle: Bundle, spec: PipelineSpec) -> HealthyStatistics:
    scales = bundle.select_weights(layout.SCALE_PREFIX)
    means = bundle.select_weights(layout.PIXELS_MEAN_PREFIX)
    deviations = bundle.select_weights(layout.PIXELS_DEVIATION_PREFIX)
    wanted = {name_error_map(each) for each in list_error_maps(spec) if each.is_normalized}
    if set(scales) != {head.name for head in spec.score.heads}:
        raise WeightsMismatch("the healthy scales are not those of the heads")
    if set(means) != wanted or set(deviations) != wanted:
        raise WeightsMismatch("the healthy pixels are not those of the error maps")
    side = spec.normalize.size_px
    for tensor in (*means.values(), *deviations.values()):
        _check_pixels(tensor, side)
    return HealthyStatistics(
        scales={name: _load_scale(scale) for name, scale in scales.items()},
        pixels={name: HealthyPixels(means[name], deviations[name]) for name in wanted},
        pixel_threshold=bundle.manifest.pixel_threshold,
        appearance=_load_appearance(bundle),
    )


def _load_scale(healthy: Tensor) -> HeadScale:
    if healthy.dtype != torch.float64 or healthy.ndim != 1:
        raise WeightsMismatch(f"found a healthy scale {healthy.dtype} {tuple(healthy.shape)}")
    try:
        return HeadScale(healthy.numpy())
    except ValueError as error:
        raise WeightsMismatch(str(error)) from error


def _load_appearance(bundle: Bundle) -> Appearance | None:
    tensors = bundle.select_weights(layout.APPEARANCE_PREFIX)
    spec = bundle.manifest.domain.appearance
    wanted = {"mean", "precision", *spec.changes} if spec else set()
    if set(tensors) != wanted:
        raise WeightsMismatch("the appearance is not the one that the manifest describes")
    if spec is None:
        return None
    if any(tensor.dtype != torch.float64 for tensor in tensors.values()):
        raise WeightsMismatch("the appearance must be float64")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    if arrays["mean"].shape != (DESCRIPTOR_SIZE,):
        raise WeightsMismatch(f"found an appearance of {arrays['mean'].shape}")
    try:
        return Appearance(
            arrays["mean"], arrays["precision"], {name: arrays[name] for name in spec.changes}
        )
    except ValueError as error:
        raise WeightsMismatch(str(error)) from error


def _check_pixels(values: Tensor, side: int) -> None:
    is_picture = values.dtype == torch.float32 and values.shape == (1, 1, side, side)
    if not is_picture or not bool((values.isfinite() & (values >= 0)).all()):
        raise WeightsMismatch(f"found healthy pixels {values.dtype} {tuple(values.shape)}")
