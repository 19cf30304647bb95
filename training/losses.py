"""How far a reconstruction is from its scan, in the terms of the papers; one number a slice.

All are averaged over the foreground of each slice first and over the batch by the caller: the mean
over processes is then the mean over the whole batch.
"""

import torch
from torch import Tensor, nn

from models.error_map import compute_ssim
from models.networks.reconstruction import Reconstruction
from models.networks.variational import compute_kl
from training.recipe import (
    EvidenceLossSpec,
    LikelihoodLossSpec,
    LossSpec,
    MemoryLossSpec,
    StructuralLossSpec,
)


def compute_loss(
    reconstruction: Reconstruction,
    image: Tensor,
    foreground: Tensor,
    spec: LossSpec,
    done_share: float,
    features: nn.Module | None,
) -> Tensor:
    """Measure the loss of each slice.

    Args:
        reconstruction: what the network drew, unclamped.
        image: float32 [B, C, H, W], 0..1, what it should have drawn.
        foreground: bool [B, 1, H, W]; True where the loss counts.
        spec: which loss.
        done_share: how much of the training is done, 0..1; a warm-up goes by it.
        features: frozen network that gives feature maps; needed by the perceptual loss.

    Returns:
        float32 [B], unit of the loss.
    """
    redrawn = reconstruction.image
    if isinstance(spec, StructuralLossSpec):
        return _average(_measure_structure(redrawn, image, spec), foreground)
    if isinstance(spec, LikelihoodLossSpec):
        return _average(_measure_likelihood(reconstruction, image, spec), foreground)
    if isinstance(spec, EvidenceLossSpec):
        return _bound_evidence(reconstruction, image, foreground, spec, done_share)
    if spec.kind == "perceptual":
        return _measure_features(redrawn, image, foreground, features)
    if isinstance(spec, MemoryLossSpec):
        return _measure_memory(reconstruction, image, foreground, spec)
    distance = redrawn - image
    return _average(distance.square() if spec.kind == "squared" else distance.abs(), foreground)


def _average(values: Tensor, foreground: Tensor) -> Tensor:
    """Mean over the foreground and all channels: float32 [B], 0 where there is no foreground."""
    inside = foreground.expand_as(values)
    return (values * inside).sum((1, 2, 3)) / inside.sum((1, 2, 3)).clamp_min(1)


def _measure_structure(redrawn: Tensor, image: Tensor, spec: StructuralLossSpec) -> Tensor:
    """Mix absolute distance and 1 - SSIM (Zhao et al. 2017, eq. 12): float32 [B, C, H, W]."""
    similarity = compute_ssim(image, redrawn, spec.ssim_sigma_share * image.shape[-1])
    share = spec.structural_share
    return share * (1.0 - similarity) + (1.0 - share) * (redrawn - image).abs()


def _measure_likelihood(
    reconstruction: Reconstruction, image: Tensor, spec: LikelihoodLossSpec
) -> Tensor:
    """Give -log N(x; mean, variance) up to a constant: float32 [B, C, H, W], nats.

    Mao et al. 2020 (MICCAI, eq. 4); weighted by variance^beta as a constant, after
    Seitzer et al. 2022 (arXiv 2203.09168, eq. 4).
    """
    if reconstruction.log_variance is None:
        raise ValueError("the likelihood needs a network that predicts a variance")
    log_variance = reconstruction.log_variance
    squared = (reconstruction.image - image).square()
    nats = 0.5 * (squared * torch.exp(-log_variance) + log_variance)
    return nats * torch.exp(spec.beta * log_variance.detach())


def _bound_evidence(
    reconstruction: Reconstruction,
    image: Tensor,
    foreground: Tensor,
    spec: EvidenceLossSpec,
    done_share: float,
) -> Tensor:
    """Give the negative evidence lower bound: float32 [B], nats a pixel.

    Both terms are sums (Kingma and Welling 2014, arXiv 1312.6114, eq. 3 and appendix B): the error
    over the pixels, the divergence over the latent. Averaging one of them instead is a silent
    change of beta by a factor of thousands, and the usual reason for a collapsed latent. The number
    of pixels divides the whole, which changes the scale alone.
    """
    mean, log_variance = reconstruction.latent_mean, reconstruction.latent_log_variance
    if mean is None or log_variance is None:
        raise ValueError("the evidence bound needs a network whose latent is a distribution")
    squared = ((reconstruction.image - image).square() * foreground).sum((1, 2, 3))
    likelihood = squared / (2.0 * spec.decoder_sigma**2)
    divergence = compute_kl(mean, log_variance)
    warmth = min(1.0, done_share / spec.warmup_share) if spec.warmup_share else 1.0
    return (likelihood + spec.beta * warmth * divergence) / image[0].numel()


def _measure_memory(
    reconstruction: Reconstruction, image: Tensor, foreground: Tensor, spec: MemoryLossSpec
) -> Tensor:
    """Give squared distance and weighed entropy of reading: float32 [B].

    Gong et al. 2019 (eq. 10); outside training the entropy is not known and left out.
    """
    squared = _average((reconstruction.image - image).square(), foreground)
    if reconstruction.address_entropy is None:
        return squared
    return squared + spec.entropy_weight * reconstruction.address_entropy


def _measure_features(
    redrawn: Tensor, image: Tensor, foreground: Tensor, features: nn.Module | None
) -> Tensor:
    """Give the relative L1 distance of frozen features: float32 [B].

    Shvetsova et al. 2021 (arXiv 2103.12051, eq. 2): the distance of the maps of each layer over
    their size. Outside the foreground the scan itself is shown, so that nothing there counts.
    """
    if features is None:
        raise ValueError("the perceptual loss needs a feature network")
    with torch.no_grad():
        wanted = features(image)
    drawn = features(torch.where(foreground, redrawn, image))
    total = torch.zeros(len(image), device=image.device)
    for here, there in zip(wanted, drawn, strict=True):
        apart = (here - there).abs().flatten(1).mean(1)
        total = total + apart / here.abs().flatten(1).mean(1).clamp_min(1e-6)
    return total / len(wanted)
