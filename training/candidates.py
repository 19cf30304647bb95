"""What `--recipe auto` tries: the default first, and published recipes with one thing changed."""

from dataclasses import dataclass
from typing import Any

from training.recipe import Recipe, read_recipe

# Recipe, and what is changed in it, keys as in its TOML; the likeliest to help come first.
CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "mirrored": ("default", {"augment": {"flip_columns": True}}),
    "coarse_noise": ("default", {"noise": {"cells": 8}}),
    "strong_noise": ("default", {"noise": {"sigma": 0.3}}),
    "structural_loss": ("default", {"loss": {"kind": "structural"}}),
    "latent_16": ("ae", {}),
    "latent_4": ("ae", {"pipeline": {"network": {"latent": 4}}}),
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A recipe that is tried, under the name it is told by."""

    name: str
    recipe: Recipe


def list_candidates() -> tuple[Candidate, ...]:
    """Give every candidate, the default first."""
    changed = (
        Candidate(name, _change(read_recipe(parent), changes))
        for name, (parent, changes) in CHANGES.items()
    )
    return (Candidate("default", read_recipe("default")), *changed)


def shorten(recipe: Recipe, share: float) -> Recipe:
    """Give the recipe with this share of its training, its schedule as a whole.

    The latest weights are kept: choosing among them would cost more than it helps here.
    """
    optimizer = recipe.optimizer
    images = max(optimizer.batch_size, round(share * optimizer.images_seen))
    return recipe.model_copy(
        update={
            "optimizer": optimizer.model_copy(update={"images_seen": images}),
            "selection": recipe.selection.model_copy(update={"slices": 2}),
        }
    )


def _change(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    values = recipe.model_dump()
    loss = changes.get("loss")
    if loss is not None:
        values["loss"] = {}
    _merge(values, changes)
    return Recipe.model_validate(values)


def _merge(values: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(values.get(key), dict):
            _merge(values[key], change)
        else:
            values[key] = change
