import pytest
import torch

from models.errors import InvalidRecipe
from tests.builders.networks import make_network
from training.distributed import SINGLE, Group, average, join_group, share_numbers, spread_network

CPU = torch.device("cpu")


def test_a_process_alone_is_its_own_group(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)

    with join_group(CPU) as (group, device):
        assert group == SINGLE
        assert device == CPU


def test_parts_of_a_batch_cover_it_once():
    parts = [Group(rank, 4).take_part(12) for rank in range(4)]

    assert [index for part in parts for index in range(12)[part]] == list(range(12))


def test_an_uneven_batch_is_refused():
    with pytest.raises(InvalidRecipe, match="batch_size"):
        Group(0, 4).take_part(10)


def test_alone_nothing_is_wrapped_shared_or_averaged():
    network, value = make_network("ae"), torch.tensor(2.0)

    assert spread_network(network, SINGLE) is network
    assert share_numbers([1.5, 2.5], SINGLE, CPU) == [1.5, 2.5]
    assert average(value, SINGLE) is value
