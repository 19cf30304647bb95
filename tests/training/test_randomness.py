import torch

from training.randomness import derive_seed, make_generator


def test_seed_purpose_and_index_each_change_the_numbers():
    keys = [(0, "noise", 0), (1, "noise", 0), (0, "motion", 0), (0, "noise", 1)]

    drawn = {torch.rand(1, generator=make_generator(*key)).item() for key in keys}

    assert len(drawn) == len(keys)


def test_the_same_three_give_the_same_numbers():
    first, second = (torch.rand(5, generator=make_generator(7, "order", 2)) for _ in range(2))

    assert torch.equal(first, second)


def test_seeds_do_not_change_between_releases():
    assert derive_seed(0, "order", 0) == 3955691223199900983
