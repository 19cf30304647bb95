import pytest
import torch

from models.reconstruct import reconstruct
from tests.builders.networks import KINDS, make_images, make_network


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 5, 40])
def test_a_slice_is_redrawn_to_the_same_bits_whatever_stands_beside_it(kind, count):
    network = make_network(kind).eval()
    images = make_images(count)

    together = reconstruct(network, images)

    for index in {0, count // 2, count - 1}:
        alone = reconstruct(network, images[index : index + 1])
        assert torch.equal(together.image[index : index + 1], alone.image)


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_a_reconstruction_covers_the_batch(kind):
    drawn = reconstruct(make_network(kind).eval(), make_images(3))

    parts = [drawn.image, drawn.log_variance, drawn.latent_mean, drawn.latent_log_variance]
    assert all(len(part) == 3 for part in parts if part is not None)
    assert drawn.image.min() >= 0.0
    assert drawn.image.max() <= 1.0
    assert (drawn.log_variance is not None) == (kind == "ae_variance")


def test_a_wide_pass_is_filled_up_and_cut_again(monkeypatch):
    network = make_network("vae").eval()
    images = make_images(6)
    expected = reconstruct(network, images)

    monkeypatch.setattr("models.reconstruct.SLICES_PER_PASS", {"cpu": 4})
    found = reconstruct(network, images)

    torch.testing.assert_close(found.image, expected.image, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.latent_mean, expected.latent_mean, atol=1e-5, rtol=0)


def test_no_gradient_is_kept():
    drawn = reconstruct(make_network("ae").eval(), make_images(2))

    assert not drawn.image.requires_grad
