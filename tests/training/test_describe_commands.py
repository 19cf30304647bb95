from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from models.bundle.card import CardFacts
from models.errors import InvalidRecipe
from models.specs import VariationalSpec
from tests.builders.evaluations import build_detector, write_lesion_cohort
from training.cohort import read_cohort
from training.describe_commands import find_network_spec, register, write_sheet
from training.publish import publish_bundle
from training.recipe import read_recipe


def run(*arguments: str):
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "TERM": "dumb"})


def read_size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cohort, and beside it a bundle with a vae and one with an ae."""
    folder = tmp_path_factory.mktemp("sample")
    cohort = read_cohort(write_lesion_cohort(folder / "cohort", has_series=False))
    average = np.linspace(0.1, 0.9, 32 * 32, dtype=np.float32).reshape(32, 32)
    for kind in ("vae", "ae"):
        facts = CardFacts(flow=(), measured={}, training={}, dropped=0)
        publish_bundle(build_detector(cohort, kind), average, facts, folder / kind)
    return folder


@pytest.mark.parametrize("kind", ["ae", "vae", "memae", "denoising_unet"])
def test_describe_prints_layers_shapes_parameters_and_operations(kind):
    result = run("describe", kind, "--size", "64", "--width", "8")

    assert result.exit_code == 0
    assert "Conv2d" in result.output
    assert "1 x 64 x 64" in result.output
    assert "trainable parameters: " in result.output
    assert "MFLOP" in result.output


def test_the_printed_number_of_parameters_is_that_of_the_network():
    result = run("describe", "denoising_unet")

    assert "trainable parameters: 488,417" in result.output


def test_options_shape_a_kind():
    spec = find_network_spec("vae", {"size_px": 64, "latent": 4, "channels": 3})

    assert spec == VariationalSpec(kind="vae", size_px=64, latent=4, channels=3)


def test_a_recipe_is_described_by_its_network():
    assert find_network_spec("default", {}) == read_recipe("default").pipeline.network


def test_describe_prints_a_recipe():
    result = run("describe", "default")

    assert result.exit_code == 0
    assert read_recipe("default").pipeline.network.kind in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("denoising_unet", "--latent", "4"), "latent of denoising_unet: not known"),
        (("ae", "--size", "8"), "size_px of ae"),
        (("default", "--size", "64"), "not for a published one"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_one_line(arguments, message):
    result = run("describe", *arguments)

    assert result.exit_code == 2
    assert message in result.output


def test_an_unknown_name_is_an_error_that_lists_the_recipes():
    result = run("describe", "no_such_thing")

    assert isinstance(result.exception, InvalidRecipe)
    assert "default" in str(result.exception)


def test_a_sheet_holds_the_pictures_row_by_row(tmp_path):
    images = torch.tensor([0.2, 0.4, 0.6]).view(3, 1, 1, 1).expand(3, 1, 4, 4)

    write_sheet(images, 2, tmp_path / "sheet.png")

    with Image.open(tmp_path / "sheet.png") as picture:
        sheet = np.asarray(picture)
    assert sheet.shape == (10, 10)
    assert (sheet[1, 1], sheet[1, 7], sheet[7, 1], sheet[7, 7]) == (51, 102, 153, 0)
    assert sheet[4:6].max() == 0


def test_a_bundle_is_described_by_its_network(folder):
    spec = find_network_spec(str(folder / "vae"), {})

    assert (spec.kind, spec.size_px, spec.latent) == ("vae", 32, 8)


def test_sample_writes_the_same_pictures_for_the_same_seed(folder, tmp_path):
    for out in ("first", "again"):
        result = run("sample", str(folder / "vae"), "--out", str(tmp_path / out), "--count", "5")
        assert result.exit_code == 0, result.output

    other = tmp_path / "other"
    run("sample", str(folder / "vae"), "--out", str(other), "--count", "5", "--seed", "1")

    first, again, changed = (
        (path / "samples.png").read_bytes()
        for path in (tmp_path / "first", tmp_path / "again", other)
    )
    assert first == again
    assert first != changed
    assert read_size(tmp_path / "first" / "samples.png") == (3 * 34 - 2, 2 * 34 - 2)


def test_sample_walks_between_two_scans(folder, tmp_path):
    scans = [str(folder / "cohort" / "test" / f"{index}.png") for index in (0, 13)]

    result = run("sample", str(folder / "vae"), "--out", str(tmp_path), "--interpolate", *scans)

    assert result.exit_code == 0, result.output
    assert read_size(tmp_path / "interpolation.png") == (8 * 34 - 2, 32)


def test_a_bundle_without_a_prior_is_refused_before_anything_is_written(folder, tmp_path):
    result = run("sample", str(folder / "ae"), "--out", str(tmp_path / "out"))

    assert result.exit_code == 2
    assert "only a vae has a prior" in result.output
    assert not (tmp_path / "out").exists()
