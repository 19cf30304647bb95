"""Variational autoencoder (Kingma and Welling 2014, arXiv 1312.6114)."""

import torch
from torch import Tensor, nn

from models.networks.layers import Decoder, Encoder, limit_log_variance
from models.networks.reconstruction import Network, Reconstruction
from models.specs import VariationalSpec

# A latent dimension is used when its posterior mean varies by more than this between scans.
ACTIVE_VARIANCE = 0.01


class VariationalAutoencoder(Network):
    """Encoder to a Gaussian over the latent, mirrored decoder.

    Training draws from the posterior with the generator given to `forward`. Evaluation decodes its
    mean, or averages `samples` draws; their noise is made once with the weights and kept among
    them, so that a score depends neither on the batch nor on the day.
    """

    posterior_noise: Tensor  # float32 [samples, Z]

    def __init__(self, spec: VariationalSpec) -> None:
        super().__init__(spec.channels, spec.size_px)
        self.latent = spec.latent
        self.encoder = Encoder(spec.channels, spec.size_px, spec.width)
        self.mean = nn.Linear(self.encoder.features, spec.latent)
        self.log_variance = nn.Linear(self.encoder.features, spec.latent)
        self.decoder = Decoder(spec.channels, spec.size_px, spec.width, spec.latent)
        self.register_buffer("posterior_noise", torch.zeros(spec.samples, spec.latent))

    def forward(self, image: Tensor, generator: torch.Generator | None = None) -> Reconstruction:
        """Redraw a batch of images.

        Args:
            image: float32 [B, C, H, W], 0..1, share of the intensity window.
            generator: draws the latent in training; unused otherwise.
        """
        mean, log_variance = self.encode(image)
        if self.training:
            redrawn = self.decode(draw_latent(mean, log_variance, generator))
        elif len(self.posterior_noise) > 0:
            redrawn = self._average_draws(mean, log_variance)
        else:
            redrawn = self.decode(mean)
        return Reconstruction(redrawn, latent_mean=mean, latent_log_variance=log_variance)

    def encode(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Give mean and log-variance of the posterior, float32 [B, Z] each."""
        self.check_image(image)
        features = self.encoder(image)
        # Back to full precision, whatever autocast did: the divergence sums small differences.
        return self.mean(features).float(), limit_log_variance(self.log_variance(features).float())

    def decode(self, latent: Tensor) -> Tensor:
        """Draw float32 [B, C, H, W] from float32 [B, Z]; 0..1 in evaluation."""
        return self.limit(self.decoder(latent))

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw pictures from the prior; float32 [count, C, H, W], 0..1.

        The noise is drawn where the generator lives: a CPU generator gives the same on any device.
        """
        latent = torch.randn(count, self.latent, generator=generator, device=generator.device)
        return self.decode(latent.to(self.mean.weight.device)).clamp(0.0, 1.0)

    @torch.no_grad()
    def interpolate(self, first: Tensor, second: Tensor, steps: int) -> Tensor:
        """Walk in a straight line between the latents of two images.

        Args:
            first: float32 [1, C, H, W], 0..1.
            second: the same.
            steps: how many pictures, both ends included; 2 or more.

        Returns:
            float32 [steps, C, H, W], 0..1; the ends are the decoded means of the two images.

        Raises:
            ValueError: fewer than two steps.
        """
        if steps < 2:
            raise ValueError(f"expected 2 or more steps, found {steps}")
        means, _ = self.encode(torch.cat([first, second]))
        shares = torch.linspace(0.0, 1.0, steps, device=means.device)[:, None]  # [steps, 1]
        return self.decode(torch.lerp(means[:1], means[1:], shares)).clamp(0.0, 1.0)

    def _average_draws(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Average the decoded draws of the posterior; float32 [B, C, H, W], 0..1."""
        deviation = torch.exp(0.5 * log_variance)
        draws = [self.decode(mean + deviation * noise) for noise in self.posterior_noise]
        return torch.stack(draws).mean(dim=0)


def draw_latent(mean: Tensor, log_variance: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw from a diagonal Gaussian so that gradients pass (the reparameterization trick).

    The noise is drawn where the generator lives: one on the CPU gives the same on any device.

    Raises:
        ValueError: no generator; noise from the global one could not be resumed exactly.
    """
    if generator is None:
        raise ValueError("a variational network needs a generator in training")
    noise = torch.randn(mean.shape, generator=generator, device=generator.device)
    return mean + torch.exp(0.5 * log_variance) * noise.to(mean.device)


def compute_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Give the divergence of the posterior from the standard normal prior, in nats.

    Closed form of Kingma and Welling 2014, appendix B, summed over the latent dimensions.

    Args:
        mean: float32 [B, Z].
        log_variance: float32 [B, Z].

    Returns:
        float32 [B], 0 or more.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(dim=1)


def count_active_dimensions(means: Tensor) -> int:
    """Count latent dimensions that carry anything, after Burda et al. 2016 (arXiv 1509.00519).

    Args:
        means: float32 [N, Z], posterior means of many scans; their variance over N must exceed
            0.01 for a dimension to count.

    Raises:
        ValueError: fewer than two scans, which have no variance.
    """
    if len(means) < 2:
        raise ValueError(f"expected posterior means of 2 or more scans, found {len(means)}")
    return int((means.double().var(dim=0) > ACTIVE_VARIANCE).sum())
