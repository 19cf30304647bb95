import torch

from tests.builders.networks import make_images, make_network


def make_memory():
    network = make_network("memae")
    with torch.no_grad():
        network.memory.weight.normal_(generator=torch.Generator().manual_seed(3))
    return network


def test_only_the_memory_is_drawn():
    network = make_memory().eval()
    with torch.no_grad():
        network.memory.weight.copy_(network.memory.weight[:1].expand_as(network.memory.weight))

        drawn = network(make_images(6)).image

    torch.testing.assert_close(drawn, drawn[:1].expand_as(drawn))


def test_items_with_little_attention_count_for_nothing_and_shares_sum_to_one():
    network = make_memory()
    network.threshold = 0.1

    shares = network._address(network.memory.weight[:4] * 9.0)

    torch.testing.assert_close(shares.sum(1), torch.ones(4))
    assert (shares == 0).any(1).all()
    assert torch.equal(shares.argmax(1), torch.arange(4))


def test_a_threshold_above_all_shares_leaves_them_as_they_were():
    network = make_memory()
    network.threshold = 2.0

    shares = network._address(torch.randn(3, 8, generator=torch.Generator().manual_seed(1)))

    torch.testing.assert_close(shares.sum(1), torch.ones(3))
    assert (shares > 0).all()


def test_the_entropy_of_reading_is_known_in_training_alone():
    network, images = make_memory(), make_images(3)

    assert network.train()(images).address_entropy.shape == (3,)
    assert network.eval()(images).address_entropy is None
