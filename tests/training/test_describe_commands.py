import numpy as np
import pytest
import torch
import typer
from PIL import Image
from typer.testing import CliRunner

from models.errors import InvalidRecipe
from models.specs import VariationalSpec
from training.describe_commands import find_network_spec, register, write_sheet
from training.recipe import read_recipe


def run(*arguments: str):
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "TERM": "dumb"})


@pytest.mark.parametrize("kind", ["ae", "vae", "denoising_unet"])
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

    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (10, 10)
    assert (sheet[1, 1], sheet[1, 7], sheet[7, 1], sheet[7, 7]) == (51, 102, 153, 0)
    assert sheet[4:6].max() == 0
