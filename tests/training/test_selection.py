import pytest

from models.networks.reconstruction import Network
from tests.builders.fitting import Copier, Healer, MemorySlices, make_recipe
from tests.builders.networks import make_network
from training.anomalies import ANOMALIES
from training.recipe import Recipe
from training.selection import Check, Examiner


def examine(network: Network, slices: MemorySlices, recipe: Recipe | None = None) -> Check:
    examiner = Examiner(slices, recipe or make_recipe(noise=None), 0, None)
    return examiner.examine(network.eval(), 1.0, separates=True)


def test_a_perfect_detector_separates_every_kind_and_a_copier_none():
    slices = MemorySlices(24)

    healed, copied = examine(Healer(slices), slices), examine(Copier(), slices)

    assert set(healed.by_kind) == set(ANOMALIES)
    assert healed.separation == pytest.approx(1.0)
    assert copied.separation == pytest.approx(0.5)
    assert healed.loss == copied.loss == 0.0


def test_the_same_weights_are_seen_the_same_way_again():
    slices, network = MemorySlices(12), make_network("denoising_unet")
    examiner = Examiner(slices, make_recipe(), 0, None)

    first, second = (examiner.examine(network.eval(), 1.0, separates=True) for _ in range(2))

    assert first == second


def test_normalized_error_maps_can_be_used():
    slices = MemorySlices(24)
    recipe = make_recipe(noise=None).model_dump()
    recipe["pipeline"]["score"]["heads"][0]["error_map"]["is_normalized"] = True

    check = examine(Healer(slices), slices, Recipe.model_validate(recipe))

    assert check.separation == pytest.approx(1.0)


def test_slices_without_foreground_are_left_out():
    slices = MemorySlices(12)
    slices.foreground[3:] = False

    assert examine(Copier(), slices).separation is None


def test_only_a_variational_network_has_active_latent_dimensions():
    slices = MemorySlices(12)

    variational = examine(make_network("vae"), slices, make_recipe("vae"))
    plain = examine(make_network("ae"), slices, make_recipe("ae"))

    assert variational.active_latent is not None
    assert plain.active_latent is None
