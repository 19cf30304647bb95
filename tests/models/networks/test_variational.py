import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from models.networks.build import build_network
from models.networks.layers import HIGHEST_LOG_VARIANCE, LOWEST_LOG_VARIANCE
from models.networks.variational import (
    VariationalAutoencoder,
    compute_kl,
    count_active_dimensions,
    draw_latent,
)
from models.specs import VariationalSpec
from tests.builders.networks import make_generator, make_images


def make_network(samples: int = 0) -> VariationalAutoencoder:
    spec = VariationalSpec(kind="vae", size_px=32, width=8, latent=6, samples=samples)
    network = build_network(spec, make_generator())
    assert isinstance(network, VariationalAutoencoder)
    return network.eval()


def make_posterior(count: int, spread: float) -> tuple[Tensor, Tensor]:
    generator = make_generator(3)
    mean = spread * torch.randn(count, 6, generator=generator)
    return mean, spread * torch.randn(count, 6, generator=generator)


@pytest.mark.parametrize("spread", [0.0, 0.1, 1.0, 3.0])
def test_the_divergence_is_that_of_torch_distributions(spread):
    mean, log_variance = make_posterior(5, spread)
    posterior = Independent(Normal(mean, torch.exp(0.5 * log_variance)), 1)
    prior = Independent(Normal(torch.zeros(5, 6), torch.ones(5, 6)), 1)

    found = compute_kl(mean, log_variance)

    assert found.shape == (5,)
    torch.testing.assert_close(found, kl_divergence(posterior, prior))


def test_the_divergence_of_the_prior_from_itself_is_zero():
    found = compute_kl(torch.zeros(3, 6), torch.zeros(3, 6))

    assert torch.equal(found, torch.zeros(3))


def test_draws_follow_the_posterior():
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.0, -2.0]])

    draws = draw_latent(mean.expand(20_000, 2), log_variance.expand(20_000, 2), make_generator())

    torch.testing.assert_close(draws.mean(0), mean[0], atol=0.03, rtol=0.0)
    torch.testing.assert_close(draws.std(0), torch.exp(0.5 * log_variance[0]), atol=0.02, rtol=0.0)


def test_gradients_pass_through_a_draw():
    mean, log_variance = (t.requires_grad_() for t in make_posterior(2, 1.0))

    draw_latent(mean, log_variance, make_generator()).square().sum().backward()

    assert mean.grad is not None
    assert mean.grad.all()
    assert log_variance.grad is not None
    assert log_variance.grad.all()


def test_training_without_a_generator_is_refused():
    with pytest.raises(ValueError, match="needs a generator"):
        make_network().train()(make_images(1))


def test_training_draws_where_evaluation_does_not():
    network, image, generator = make_network(), make_images(1), make_generator()

    drawn = [network.train()(image, generator).image for _ in range(2)]
    fixed = [network.eval()(image).image for _ in range(2)]

    assert not torch.equal(*drawn)
    assert torch.equal(*fixed)


def test_a_generator_put_back_to_its_state_resumes_training_exactly():
    network, image, generator = make_network().train(), make_images(2), make_generator()
    network(image, generator)
    state = generator.get_state()
    expected = network(image, generator).image

    resumed = network(image, torch.Generator().set_state(state)).image

    assert torch.equal(resumed, expected)


def test_evaluation_decodes_the_posterior_mean():
    network, image = make_network(), make_images(3)

    mean, _ = network.encode(image)

    assert torch.equal(network(image).image, network.decode(mean))


@torch.no_grad()
def test_evaluation_averages_the_draws_that_the_spec_asks_for():
    network, image = make_network(samples=5), make_images(3)
    mean, log_variance = network.encode(image)

    noise = network.posterior_noise
    drawn = [network.decode(mean + torch.exp(0.5 * log_variance) * row) for row in noise]

    assert noise.shape == (5, 6)
    assert noise.unique().numel() == noise.numel()
    torch.testing.assert_close(network(image).image, torch.stack(drawn).mean(0))


def test_the_log_variance_stays_in_its_range():
    network = make_network()
    network.log_variance.weight.data.mul_(1e6)

    _, log_variance = network.encode(make_images(8))

    assert log_variance.min() >= LOWEST_LOG_VARIANCE
    assert log_variance.max() <= HIGHEST_LOG_VARIANCE
    assert compute_kl(torch.zeros_like(log_variance), log_variance).isfinite().all()


def test_samples_of_the_prior_are_pictures_that_the_generator_decides():
    network = make_network().train()

    first, again = (network.sample(4, make_generator(5)) for _ in range(2))
    other = network.sample(4, make_generator(6))

    assert first.shape == (4, 1, 32, 32)
    assert first.min() >= 0.0
    assert first.max() <= 1.0
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])


@torch.no_grad()
def test_an_interpolation_starts_and_ends_at_the_two_scans():
    network, images = make_network(), make_images(2)

    path = network.interpolate(images[:1], images[1:], steps=5)

    assert path.shape == (5, 1, 32, 32)
    torch.testing.assert_close(path[[0, -1]], network(images).image)


@torch.no_grad()
def test_an_interpolation_passes_the_middle_of_the_latents():
    network, images = make_network(), make_images(2)
    mean, _ = network.encode(images)

    path = network.interpolate(images[:1], images[1:], steps=3)

    torch.testing.assert_close(path[1:2], network.decode(mean.mean(0, keepdim=True)))


def test_an_interpolation_of_one_step_is_refused():
    image = make_images(1)

    with pytest.raises(ValueError, match="2 or more steps"):
        make_network().interpolate(image, image, steps=1)


def test_dimensions_whose_mean_does_not_vary_are_not_active():
    means = torch.randn(500, 4, generator=make_generator()) * torch.tensor([1.0, 0.2, 0.05, 0.0])

    assert count_active_dimensions(means) == 2


def test_active_dimensions_of_one_scan_are_refused():
    with pytest.raises(ValueError, match="2 or more"):
        count_active_dimensions(torch.zeros(1, 4))


def test_training_by_the_evidence_bound_keeps_the_latent_alive():
    network, images, generator = make_network().train(), make_images(64), make_generator()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)

    for step in range(150):
        found = network(images, generator)
        likelihood = (found.image - images).square().sum((1, 2, 3)) / (2 * 0.1**2)
        divergence = compute_kl(found.latent_mean, found.latent_log_variance)
        loss = (likelihood + min(1.0, step / 75) * divergence).mean() / images[0].numel()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    assert count_active_dimensions(network.eval().encode(images)[0]) >= 5
