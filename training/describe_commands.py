"""The commands that look into a network: `aegle describe` and `aegle sample`."""

import math
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from PIL import Image
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional

from models.bundle.read import read_bundle
from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.detector import Detector
from models.networks.describe import NetworkDescription, describe_network
from models.networks.variational import VariationalAutoencoder
from models.specs import NetworkSpec
from training.recipe import read_recipe

KINDS = ("ae", "vae", "memae", "denoising_unet")
INTERPOLATION_STEPS = 8
GAP_PX = 2


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("describe")(describe)
    app.command("sample")(sample)


def describe(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT", help="A recipe, the folder of a bundle, or ae, vae, denoising_unet."
        ),
    ],
    size: Annotated[int | None, typer.Option(help="Side of the picture in px, for a kind.")] = None,
    width: Annotated[int | None, typer.Option(help="First channels, for a kind.")] = None,
    latent: Annotated[int | None, typer.Option(help="Latent numbers, for ae and vae.")] = None,
    channels: Annotated[int | None, typer.Option(help="Of the picture, for a kind.")] = None,
) -> None:
    """Print the layers of a network, their shapes, its parameters and operations.

    Examples: aegle describe default; aegle describe vae --size 64 --latent 16
    """
    given = {"size_px": size, "width": width, "latent": latent, "channels": channels}
    changes = {name: value for name, value in given.items() if value is not None}
    spec = find_network_spec(what, changes)
    _print_description(spec, describe_network(spec), Console())


def sample(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="The folder of a bundle with a vae.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    count: Annotated[int, typer.Option(min=1, max=1024, help="How many samples.")] = 16,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same samples.")] = 0,
    interpolate: Annotated[
        tuple[Path, Path] | None, typer.Option(help="Two scans to walk between.")
    ] = None,
) -> None:
    """Draw pictures that a variational autoencoder takes for healthy scans.

    Examples: aegle sample BUNDLE --out DIR; aegle sample BUNDLE --out DIR --interpolate A.png B.dcm
    """
    detector = Detector.load(bundle, torch.device("cpu"))
    network = detector.pipeline.network
    if not isinstance(network, VariationalAutoencoder):
        kind = detector.pipeline.spec.network.kind
        raise typer.BadParameter(f"its network is a {kind}; only a vae has a prior to draw from")
    sheets = {"samples.png": network.sample(count, torch.Generator().manual_seed(seed))}
    if interpolate is not None:
        first, second = (read_middle_slice(detector, path) for path in interpolate)
        sheets["interpolation.png"] = network.interpolate(first, second, INTERPOLATION_STEPS)
    out.mkdir(parents=True, exist_ok=True)
    for name, images in sheets.items():
        columns = math.ceil(math.sqrt(count)) if name == "samples.png" else INTERPOLATION_STEPS
        write_sheet(images, columns, out / name)
        Console().print(f"{out / name}: {len(images)} pictures", soft_wrap=True, highlight=False)


def find_network_spec(what: str, changes: dict[str, int]) -> NetworkSpec:
    """Give the network of a kind, a bundle or a recipe.

    Args:
        what: `ae`, `vae`, `denoising_unet`, the folder of a bundle, or a recipe.
        changes: fields of the spec of a kind.

    Raises:
        BadParameter: a change that the network does not know, or to something published.
    """
    if what in KINDS:
        return _make_spec(what, changes)
    if changes:
        raise typer.BadParameter(
            "sizes may be given for a kind of network, not for a published one"
        )
    if Path(what).is_dir():
        return read_bundle(Path(what)).manifest.pipeline.network
    return read_recipe(what).pipeline.network


def read_middle_slice(detector: Detector, path: Path) -> Tensor:
    """Give the middle slice of a scan as the network sees it; float32 [1, 1, H, W], 0..1."""
    scan = decode_scan(path, DecodeLimits())
    middle = scan.slice_count // 2
    return detector.pipeline.prepare(scan).normalized.image[middle : middle + 1]


def write_sheet(images: Tensor, columns: int, path: Path) -> None:
    """Write pictures side by side as one PNG, row by row.

    Args:
        images: float32 [N, C, H, W], 0..1; channels are averaged to grey.
        columns: pictures a row.
        path: the file to write.
    """
    grey = images.mean(dim=1).clamp(0.0, 1.0)  # [N, H, W]
    grey = functional.pad(grey, (0, GAP_PX, 0, GAP_PX))
    rows = math.ceil(len(grey) / columns)
    missing = grey.new_zeros(rows * columns - len(grey), *grey.shape[1:])
    cells = torch.cat([grey, missing]).view(rows, columns, *grey.shape[1:])  # [rows, columns, H, W]
    sheet = cells.transpose(1, 2).reshape(rows * grey.shape[1], columns * grey.shape[2])
    pixels = (sheet[:-GAP_PX, :-GAP_PX] * 255).round().numpy().astype(np.uint8)
    Image.fromarray(pixels).save(path, format="PNG")


def _make_spec(kind: str, changes: dict[str, int]) -> NetworkSpec:
    adapter: TypeAdapter[NetworkSpec] = TypeAdapter(NetworkSpec)
    try:
        return adapter.validate_python({"kind": kind, **changes})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][-1])
        reason = "not known" if first["type"] == "extra_forbidden" else first["msg"]
        raise typer.BadParameter(f"{name} of {kind}: {reason}") from error


def _print_description(
    spec: NetworkSpec, description: NetworkDescription, console: Console
) -> None:
    fields = spec.model_dump(exclude={"kind"})
    title = f"{spec.kind}: " + ", ".join(f"{name} {value}" for name, value in fields.items())
    table = Table("layer", "kind", title=title, title_justify="left")
    table.add_column("output", justify="right")
    table.add_column("parameters", justify="right")
    table.add_row("image", "", _format_shape(description.input_shape), "")
    for layer in description.layers:
        parameters = f"{layer.parameters:,}" if layer.parameters else ""
        table.add_row(layer.name, layer.kind, _format_shape(layer.output_shape), parameters)
    console.print(table)
    console.print(f"trainable parameters: {description.parameters:,}", highlight=False)
    console.print(
        f"operations for one image: {description.flops / 1e6:,.1f} MFLOP", highlight=False
    )


def _format_shape(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape[1:])
