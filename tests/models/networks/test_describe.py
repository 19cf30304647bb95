import pytest
import torch
from torch import nn

from models.networks.describe import describe_network
from models.specs import AutoencoderSpec, DenoisingUnetSpec
from tests.builders.networks import KINDS, make_images, make_network, make_spec


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_are_counted_once(kind):
    description = describe_network(make_spec(kind))

    expected = sum(weight.numel() for weight in make_network(kind).parameters())
    assert description.parameters == expected
    assert sum(layer.parameters for layer in description.layers) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_are_those_of_one_image(kind):
    network = make_network(kind).eval()
    shapes = {}
    for name, module in network.named_modules():
        module.register_forward_hook(
            lambda _module, _inputs, output, name=name: shapes.update({name: output})
        )
    with torch.no_grad():
        network(make_images(1))

    description = describe_network(make_spec(kind))

    assert description.input_shape == (1, 1, 32, 32)
    assert [layer.name for layer in description.layers if layer.kind == "Conv2d"] == [
        name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)
    ]
    assert all(layer.output_shape == shapes[layer.name].shape for layer in description.layers)


def test_operations_of_the_unet_are_those_of_its_convolutions():
    spec = DenoisingUnetSpec(kind="denoising_unet", size_px=32, width=4, levels=2)

    description = describe_network(spec)

    # A 3 x 3 convolution: 2 x 9 x channels in x channels out for each pixel.
    full = 18 * (1 * 4 + 4 * 4 + 12 * 4 + 4 * 4) + 2 * 4 * 1
    half = 18 * (4 * 8 + 8 * 8)
    assert description.flops == 32 * 32 * full + 16 * 16 * half


def test_a_picture_of_twice_the_side_takes_four_times_the_operations():
    small, large = (
        describe_network(DenoisingUnetSpec(kind="denoising_unet", size_px=side)).flops
        for side in (64, 128)
    )

    assert large == 4 * small


def test_the_published_size_of_the_default_networks_is_kept():
    sizes = {
        "ae": describe_network(AutoencoderSpec(size_px=64)).parameters,
        "denoising_unet": describe_network(DenoisingUnetSpec(kind="denoising_unet")).parameters,
    }

    assert sizes == {"ae": 157_121, "denoising_unet": 488_417}
