"""What every network must do, whatever its kind, in the spirit of scikit-learn's checks."""

import pytest
import torch
from safetensors.torch import load, save

from models.networks.build import build_network, build_skeleton
from models.networks.reconstruction import Network, Reconstruction
from tests.builders.networks import KINDS, make_generator, make_images, make_network, make_spec

# Convolution kernels are chosen by batch and memory layout; sums then differ in the last bits.
LAYOUT_TOLERANCE = 2e-5
# Relative precision of bfloat16 is 2 ** -8, met at every layer.
BFLOAT16_TOLERANCE = 0.1

pytestmark = pytest.mark.parametrize("kind", KINDS)


def reconstruct(network: Network, image: torch.Tensor) -> Reconstruction:
    with torch.no_grad():
        return network.eval()(image)


def list_tensors(reconstruction: Reconstruction) -> dict[str, torch.Tensor]:
    return {name: t for name, t in vars(reconstruction).items() if t is not None}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size_px", [32, 64, 100, 128])
@pytest.mark.parametrize("is_training", [True, False])
def test_the_reconstruction_has_the_shape_of_the_scan(kind, size_px, channels, is_training):
    network = make_network(kind, size_px=size_px, channels=channels).train(is_training)
    image = make_images(2, size_px=size_px, channels=channels)

    reconstruction = network(image, make_generator())

    assert reconstruction.image.shape == image.shape
    assert {t.dtype for t in list_tensors(reconstruction).values()} == {torch.float32}
    assert reconstruction.image.isfinite().all()
    if not is_training:
        assert reconstruction.image.min() >= 0.0
        assert reconstruction.image.max() <= 1.0


def test_the_largest_picture_passes(kind):
    image = make_images(1, size_px=512)

    reconstruction = reconstruct(make_network(kind, size_px=512, width=4), image)

    assert reconstruction.image.shape == image.shape


def test_what_a_network_knows_beside_the_image_depends_on_its_kind_alone(kind):
    expected = {"image"}
    if kind != "denoising_unet":
        expected.add("latent_mean")
    if kind == "ae_variance":
        expected.add("log_variance")
    if kind.startswith("vae"):
        expected.add("latent_log_variance")

    found = list_tensors(reconstruct(make_network(kind), make_images(3)))

    assert set(found) == expected
    assert all(t.shape == (3, 8) for name, t in found.items() if name.startswith("latent"))
    assert found.get("log_variance", found["image"]).shape == found["image"].shape


@pytest.mark.parametrize("shape", [(1, 32, 32), (2, 3, 32, 32), (2, 1, 64, 64), (2, 1, 32, 48)])
def test_a_picture_of_another_shape_is_refused(kind, shape):
    network = make_network(kind)

    with pytest.raises(ValueError, match="expected an image"):
        network(torch.zeros(shape), make_generator())


def test_the_same_generator_builds_the_same_network(kind):
    first, second = make_network(kind).state_dict(), make_network(kind).state_dict()
    other = build_network(make_spec(kind), make_generator(1)).state_dict()

    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_global_generator_is_neither_read_nor_moved(kind):
    before = torch.get_rng_state()

    network = make_network(kind)
    network.train()(make_images(2), make_generator()).image.sum().backward()
    reconstruct(network, make_images(2))

    assert torch.equal(torch.get_rng_state(), before)


def test_training_with_the_same_generator_state_gives_the_same_reconstruction(kind):
    network, image = make_network(kind).train(), make_images(2)

    first, second = (network(image, make_generator(7)).image for _ in range(2))

    assert torch.equal(first, second)


def test_evaluation_gives_the_same_reconstruction_twice(kind):
    network, image = make_network(kind), make_images(2)

    first, second = (list_tensors(reconstruct(network, image)) for _ in range(2))

    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_reconstruction_does_not_depend_on_the_rest_of_the_batch(kind):
    network, images = make_network(kind), make_images(8)

    together = list_tensors(reconstruct(network, images))

    for index in range(8):
        alone = list_tensors(reconstruct(network, images[index : index + 1]))
        for name, values in alone.items():
            torch.testing.assert_close(
                values[0], together[name][index], atol=LAYOUT_TOLERANCE, rtol=LAYOUT_TOLERANCE
            )


def test_channels_last_gives_what_contiguous_gives(kind):
    network, images = make_network(kind, channels=3), make_images(4, channels=3)

    contiguous = list_tensors(reconstruct(network, images))
    network = network.to(memory_format=torch.channels_last)
    last = list_tensors(reconstruct(network, images.to(memory_format=torch.channels_last)))

    for name, values in contiguous.items():
        torch.testing.assert_close(last[name], values, atol=LAYOUT_TOLERANCE, rtol=LAYOUT_TOLERANCE)


def test_autocast_changes_little_and_gives_float32(kind):
    network, images = make_network(kind), make_images(4)

    exact = list_tensors(reconstruct(network, images))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = list_tensors(reconstruct(network, images))

    for name, values in exact.items():
        torch.testing.assert_close(
            rough[name], values, atol=BFLOAT16_TOLERANCE, rtol=BFLOAT16_TOLERANCE
        )


def test_a_gradient_reaches_every_weight(kind):
    network = make_network(kind).train()

    reconstruction = network(make_images(4), make_generator())
    sum(t.square().sum() for t in list_tensors(reconstruction).values()).backward()

    without = [
        name
        for name, weight in network.named_parameters()
        if weight.grad is None or not weight.grad.any() or not weight.grad.isfinite().all()
    ]
    assert without == []


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(torch.zeros(2, 1, 32, 32), id="black"),
        pytest.param(torch.ones(2, 1, 32, 32), id="white"),
        pytest.param(torch.full((2, 1, 32, 32), 1e6), id="far over the range"),
        pytest.param(torch.full((2, 1, 32, 32), -1e6), id="far under the range"),
        pytest.param(torch.eye(32).expand(2, 1, 32, 32) * 1e6, id="spikes"),
    ],
)
def test_extreme_pictures_give_finite_numbers_and_gradients(kind, image):
    network = make_network(kind).train()

    found = list_tensors(network(image, make_generator()))
    sum(t.sum() for t in found.values()).backward()

    assert all(t.isfinite().all() for t in found.values())
    assert all(weight.grad.isfinite().all() for weight in network.parameters())
    assert all(t.isfinite().all() for t in list_tensors(reconstruct(network, image)).values())


def test_weights_survive_safetensors(kind):
    network, image = make_network(kind), make_images(2)

    restored = build_skeleton(make_spec(kind))
    restored.load_state_dict(load(save(network.state_dict())), strict=True, assign=True)

    first, second = reconstruct(network, image), reconstruct(restored, image)
    assert torch.equal(first.image, second.image)


def test_every_part_of_the_network_moves_with_it(kind):
    network = make_network(kind).to("meta")

    assert {t.device.type for t in network.state_dict().values()} == {"meta"}


def test_a_small_batch_is_learned_by_heart(kind):
    network, image, generator = make_network(kind).train(), make_images(4), make_generator()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = []

    for _ in range(60):
        loss = (network(image, generator).image - image).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    # Half the variance of the pictures: what a constant grey could not reach.
    assert losses[-1] < 0.5 * image.var().item()
    assert losses[-1] < 0.2 * losses[0]
