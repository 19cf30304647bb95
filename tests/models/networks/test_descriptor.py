import pytest
import torch

from models.networks.descriptor import GROUPS, SIZE, compute_descriptor


def draw(side, seed=0, count=3):
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("side", [16, 32, 48, 128])
def test_every_size_of_picture_gives_148_finite_numbers(side):
    found = compute_descriptor(draw(side))

    assert found.shape == (3, SIZE) == (3, 148)
    assert found.dtype == torch.float64
    assert bool(found.isfinite().all())


def test_a_slice_is_described_alike_whatever_stands_beside_it():
    image = draw(64)

    assert torch.allclose(compute_descriptor(image)[1:2], compute_descriptor(image[1:2]))


def test_a_flat_picture_has_no_edges_and_one_grey_level():
    edges, greys, _ = compute_descriptor(torch.full((1, 1, 64, 64), 0.5)).split(GROUPS, dim=1)

    assert float(edges.abs().max()) == 0.0
    assert max(greys[0].tolist()) == 1.0


def test_turning_a_picture_moves_its_edges_and_keeps_its_greys():
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)

    upright = compute_descriptor(ramp).split(GROUPS, dim=1)
    turned = compute_descriptor(ramp.rot90(1, (2, 3))).split(GROUPS, dim=1)

    assert not torch.allclose(upright[0], turned[0])
    assert torch.allclose(upright[1], turned[1])
    assert torch.allclose(upright[2], turned[2])
