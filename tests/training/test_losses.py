import math

import pytest
import torch
from torch import Tensor, nn

from models.error_map import compute_ssim
from models.networks.reconstruction import Reconstruction
from tests.builders.fitting import MemorySlices
from tests.builders.networks import make_images
from training.losses import compute_loss
from training.recipe import (
    DistanceLossSpec,
    EvidenceLossSpec,
    LikelihoodLossSpec,
    LossSpec,
    PerceptualLossSpec,
    StructuralLossSpec,
)

SPECS = [
    DistanceLossSpec(kind="squared"),
    DistanceLossSpec(kind="absolute"),
    StructuralLossSpec(kind="structural"),
    LikelihoodLossSpec(kind="gaussian_likelihood"),
    EvidenceLossSpec(kind="evidence"),
    PerceptualLossSpec(kind="perceptual"),
]


class Features(nn.Module):
    """Two maps of an image: itself, and halved."""

    def forward(self, image: Tensor) -> list[Tensor]:
        return [image, nn.functional.avg_pool2d(image, 2)]


def make_reconstruction(image: Tensor) -> Reconstruction:
    count = len(image)
    return Reconstruction(
        image, torch.zeros_like(image), torch.zeros(count, 3), torch.zeros(count, 3)
    )


def measure(image: Tensor, slices: MemorySlices, spec: LossSpec, done_share: float = 1.0) -> Tensor:
    drawn = make_reconstruction(image)
    return compute_loss(drawn, slices.image, slices.foreground, spec, done_share, Features())


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_a_loss_is_one_number_a_slice_and_has_a_gradient(spec):
    slices = MemorySlices(3)
    image = make_images(3, seed=9).requires_grad_()

    loss = measure(image, slices, spec)
    torch.autograd.backward(loss.mean())

    assert loss.shape == (3,)
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
    assert image.grad.abs().sum() > 0


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_a_perfect_reconstruction_has_the_lowest_loss(spec):
    slices = MemorySlices(3)

    perfect = measure(slices.image.clone(), slices, spec)
    worse = measure((slices.image + 0.1).clone(), slices, spec)

    assert perfect.abs().max() < 1e-5
    assert (worse > perfect).all()


@pytest.mark.parametrize(
    "spec", [s for s in SPECS if s.kind != "structural"], ids=lambda spec: spec.kind
)
def test_what_lies_outside_the_foreground_does_not_count(spec):
    slices = MemorySlices(3)
    image = make_images(3, seed=9)
    disturbed = torch.where(slices.foreground, image, image + 1.0)

    torch.testing.assert_close(measure(disturbed, slices, spec), measure(image, slices, spec))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_a_slice_without_foreground_gives_a_finite_loss(spec):
    slices = MemorySlices(2)
    slices.foreground[0] = False

    loss = measure(make_images(2, seed=9), slices, spec)

    assert torch.isfinite(loss).all()


def test_the_squared_loss_is_the_mean_over_the_foreground():
    slices = MemorySlices(1)
    image = slices.image + 0.5

    loss = measure(image, slices, SPECS[0])

    assert loss.item() == pytest.approx(0.25, abs=1e-6)


def test_the_structural_loss_mixes_similarity_and_absolute_distance():
    slices = MemorySlices(1)
    slices.foreground[:] = True
    image = make_images(1, seed=9)

    loss = measure(image, slices, StructuralLossSpec(kind="structural", structural_share=0.25))

    similarity = compute_ssim(slices.image, image, 0.05 * 32).mean()
    expected = 0.25 * (1 - similarity) + 0.75 * (image - slices.image).abs().mean()
    torch.testing.assert_close(loss[0], expected)


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_the_likelihood_is_that_of_a_gaussian(beta):
    slices = MemorySlices(1)
    slices.foreground[:] = True
    image = make_images(1, seed=9)
    log_variance = torch.full_like(image, math.log(0.04))
    spec = LikelihoodLossSpec(kind="gaussian_likelihood", beta=beta)

    loss = compute_loss(
        Reconstruction(image, log_variance), slices.image, slices.foreground, spec, 1.0, None
    )

    nats = -torch.distributions.Normal(image, 0.2).log_prob(slices.image)
    constant = 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(loss[0], (nats - constant).mean() * 0.04**beta)


@pytest.mark.parametrize(
    ("done_share", "warmth"), [(0.0, 0.0), (0.1, 0.4), (0.25, 1.0), (1.0, 1.0)]
)
def test_the_evidence_bound_sums_over_pixels_and_latent_and_warms_up(done_share, warmth):
    slices = MemorySlices(1)
    slices.foreground[:] = True
    image = slices.image + 0.1
    drawn = Reconstruction(image, None, torch.full((1, 3), 2.0), torch.zeros(1, 3))
    spec = EvidenceLossSpec(kind="evidence", beta=2.0, warmup_share=0.25, decoder_sigma=0.1)

    loss = compute_loss(drawn, slices.image, slices.foreground, spec, done_share, None)

    pixels = 32 * 32
    expected = (pixels * 0.5 + 2.0 * warmth * 3 * 2.0) / pixels
    assert loss.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("spec", SPECS[3:], ids=lambda spec: spec.kind)
def test_a_loss_that_lacks_what_it_needs_is_refused(spec):
    slices = MemorySlices(1)

    with pytest.raises(ValueError, match="needs"):
        compute_loss(Reconstruction(slices.image), slices.image, slices.foreground, spec, 1.0, None)
