"""What `--recipe auto` tries: the default first, and the default with one thing changed.

The network stays that of the default. Short trainings of one network can be compared; those of
another kind, which learns faster or slower, cannot: they are ablations of the evidence alone.
"""

from dataclasses import dataclass
from typing import Any

from training.recipe import Recipe, read_recipe

# What is changed, keys as in the TOML of a recipe; the likeliest to help come first.
CANDIDATES: dict[str, dict[str, Any]] = {
    "mirrored": {"augment": {"flip_columns": True}},
    "coarse_noise": {"noise": {"cells": 8}},
    "strong_noise": {"noise": {"sigma": 0.3}},
    "structural_loss": {"loss": {"kind": "structural"}},
}
SMALL = {"size_px": 64}
# Recipe and change.
ABLATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "no_noise": ("default", {"noise": {"sigma": 0.0}}),
    "fine_noise": ("default", {"noise": {"cells": 64}}),
    "half_size": ("default", {"pipeline": {"normalize": SMALL, "network": SMALL}}),
    "latent_4": ("ae", {"pipeline": {"network": {"latent": 4}}}),
    "latent_64": ("ae", {"pipeline": {"network": {"latent": 64}}}),
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A recipe that is tried, under the name it is told by."""

    name: str
    recipe: Recipe


def list_candidates() -> tuple[Candidate, ...]:
    """Give every candidate, the default first."""
    default = read_recipe("default")
    changed = (Candidate(name, _change(default, what)) for name, what in CANDIDATES.items())
    return (Candidate("default", default), *changed)


def find_ablation(name: str) -> Recipe | None:
    """Find a candidate or an ablation by its name; None where there is none."""
    if name in CANDIDATES:
        return _change(read_recipe("default"), CANDIDATES[name])
    if name in ABLATIONS:
        parent, what = ABLATIONS[name]
        return _change(read_recipe(parent), what)
    return None


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
