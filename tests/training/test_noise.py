import torch

from tests.builders.fitting import MemorySlices
from tests.builders.networks import make_generator
from training.noise import add_noise, draw_noise
from training.recipe import NoiseSpec


def test_noise_stays_inside_the_foreground():
    slices = MemorySlices(6)
    noise = draw_noise(NoiseSpec(cells=8), 6, 1, make_generator())

    shown = add_noise(slices.image, slices.foreground, noise)

    outside = ~slices.foreground
    assert torch.equal(shown[outside], slices.image[outside])
    assert (shown != slices.image)[slices.foreground].float().mean() > 0.99


def test_noise_has_the_strength_of_the_spec_on_its_grid_and_less_between():
    noise = draw_noise(NoiseSpec(cells=16, sigma=0.2), 200, 2, make_generator())
    zero = torch.zeros(200, 2, 128, 128)

    shown = add_noise(zero, torch.ones(200, 1, 128, 128, dtype=torch.bool), noise)

    assert abs(noise.cells.std() - 0.2) < 0.005
    assert 0.1 < shown.std() < 0.2
    # Coarse: neighbouring pixels are nearly alike.
    assert (shown[..., 1:] - shown[..., :-1]).abs().mean() < 0.3 * shown.abs().mean()


def test_no_two_slices_share_their_noise():
    noise = draw_noise(NoiseSpec(cells=4), 3, 1, make_generator())

    assert len({tuple(each.flatten().tolist()) for each in noise.cells}) == 3
    assert len({tuple(each.tolist()) for each in noise.offset_shares}) == 3


def test_part_of_a_batch_gets_the_same_noise_as_in_the_whole():
    slices = MemorySlices(6)
    noise = draw_noise(NoiseSpec(cells=8), 6, 1, make_generator())

    whole = add_noise(slices.image, slices.foreground, noise)
    part = add_noise(slices.image[2:4], slices.foreground[2:4], noise.take(slice(2, 4)))

    assert torch.equal(part, whole[2:4])
