import pytest
import torch

from tests.builders.fitting import MemorySlices
from tests.builders.networks import make_generator
from training.augment import Motions, draw_motions, move_slices
from training.recipe import AugmentSpec

STILL = AugmentSpec(shift_share=0, rotation_deg=0, scale_share=0, gamma_share=0)


def make_still(count: int) -> Motions:
    return draw_motions(STILL, count, make_generator())


def test_no_motion_leaves_slices_as_they_are():
    slices = MemorySlices(4)

    image, foreground = move_slices(slices.image, slices.foreground, make_still(4))

    torch.testing.assert_close(image, slices.image, atol=1e-5, rtol=0)
    assert torch.equal(foreground, slices.foreground)


def test_moved_slices_stay_in_range_and_keep_their_kind():
    slices = MemorySlices(16)
    wild = AugmentSpec(shift_share=0.3, rotation_deg=90, scale_share=0.3, gamma_share=0.5)

    image, foreground = move_slices(
        slices.image, slices.foreground, draw_motions(wild, 16, make_generator())
    )

    assert image.min() >= 0
    assert image.max() <= 1
    assert foreground.dtype == torch.bool
    assert image.shape == slices.image.shape


def test_equal_generators_draw_equal_motions():
    first, second = (draw_motions(AugmentSpec(), 8, make_generator(3)) for _ in range(2))

    assert torch.equal(first.affine, second.affine)
    assert torch.equal(first.gamma, second.gamma)


def test_motions_stay_within_the_spec():
    spec = AugmentSpec()

    motions = draw_motions(spec, 1000, make_generator())

    scale = motions.affine[:, :, 0].norm(dim=1)
    assert scale.sub(1).abs().max() <= spec.scale_share + 1e-6
    assert motions.affine[:, :, 2].abs().max() <= 2 * spec.shift_share
    assert motions.gamma.sub(1).abs().max() <= spec.gamma_share + 1e-6
    assert (torch.linalg.det(motions.affine[:, :, :2]) > 0).all()


def test_a_shift_moves_by_a_share_of_the_side_and_what_enters_is_no_foreground():
    image = torch.zeros(1, 1, 32, 32)
    image[..., 10, 12] = 1.0
    still = make_still(1)
    affine = still.affine.clone()
    affine[:, 0, 2] = 2 * 0.25  # looks up 8 columns to the right: the picture moves to the left

    moved, inside = move_slices(
        image, torch.ones_like(image, dtype=torch.bool), Motions(affine, still.gamma)
    )

    assert moved[0, 0].argmax() == 10 * 32 + 4
    assert inside[..., :24].all()
    assert not inside[..., 24:].any()


@pytest.mark.parametrize(("axis", "name"), [(2, "flip_rows"), (3, "flip_columns")])
def test_a_flip_mirrors_about_half_of_the_slices(axis, name):
    image = torch.rand(1, 1, 32, 32, generator=make_generator()).expand(40, 1, 32, 32)
    motions = draw_motions(STILL.model_copy(update={name: True}), 40, make_generator())

    moved, _ = move_slices(image, torch.ones_like(image, dtype=torch.bool), motions)

    is_flipped = (moved - image.flip(axis)).abs().amax((1, 2, 3)) < 1e-4
    is_same = (moved - image).abs().amax((1, 2, 3)) < 1e-4
    assert (is_flipped ^ is_same).all()
    assert 10 < is_flipped.sum() < 30
