import pytest

from models.errors import InvalidRecipe
from training.recipe import RECIPE_FOLDER, Recipe, list_recipes, parse_recipe, read_recipe

DEFAULT = (RECIPE_FOLDER / "default.toml").read_text()


def test_published_recipes_are_listed_with_the_default_first():
    recipes = list_recipes()

    assert recipes[0].name == "default"
    assert {"ae", "ae_variance", "ct", "demo", "perceptual", "vae"} <= {r.name for r in recipes}


@pytest.mark.parametrize("path", sorted(RECIPE_FOLDER.glob("*.toml")), ids=lambda p: p.stem)
def test_a_published_recipe_is_found_by_the_name_of_its_file(path):
    recipe = read_recipe(path.stem)

    assert recipe.name == path.stem
    assert recipe == read_recipe(path)


def test_a_recipe_survives_a_round_trip():
    recipe = read_recipe("default")

    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_the_digest_ignores_comments_and_follows_numbers():
    commented = parse_recipe(DEFAULT + "\n# another remark\n")
    changed = parse_recipe(DEFAULT.replace("sigma = 0.2", "sigma = 0.25"))

    assert commented.digest == read_recipe("default").digest
    assert changed.digest != commented.digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gradient_clip", "gradient_clop", "optimizer.gradient_clop: unknown key"),
        ('pool = "mean"', 'pool = "sum"', r"pipeline.score.heads\[0\].pool: "),
        ("width = 16", "width = 1", "pipeline.network.width: "),
        ('kind = "squared"', 'kind = "cubed"', "loss: .*cubed"),
        ('kind = "squared"', 'kind = "evidence"', "evidence goes with a network of kind vae"),
        ("batch_size = 16", "batch_size = nan", "optimizer.batch_size: "),
        ("size_px = 128\nwidth", "size_px = 64\nwidth", "the network takes 64 px"),
        ('name = "default"', "name = default", "no valid TOML"),
        ("[noise]", "[folds]\nfit = 0.9\n[noise]", "folds: .*sum to 1"),
    ],
)
def test_a_wrong_recipe_is_refused_and_the_key_is_named(old, new, message):
    assert old in DEFAULT

    with pytest.raises(InvalidRecipe, match=message):
        parse_recipe(DEFAULT.replace(old, new))


@pytest.mark.parametrize("name", ["defualt", "/nowhere/recipe.toml", "../recipes/default"])
def test_a_recipe_that_is_not_there_is_refused(name):
    with pytest.raises(InvalidRecipe):
        read_recipe(name)


@pytest.mark.parametrize(
    ("images", "batch", "steps"), [(160, 16, 10), (1, 64, 1), (12_000, 16, 750)]
)
def test_the_budget_is_counted_in_slices_seen(images, batch, steps):
    recipe = parse_recipe(
        DEFAULT.replace("images_seen = 12000", f"images_seen = {images}").replace(
            "batch_size = 16", f"batch_size = {batch}"
        )
    )

    assert recipe.optimizer.steps == steps
