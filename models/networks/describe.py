"""Network spec to a table of its layers, shapes, parameters and operations."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from models.networks.build import build_skeleton
from models.specs import NetworkSpec


@dataclass(frozen=True, slots=True)
class LayerDescription:
    """One layer: where it sits, what it is, what it gives for one image, what it learns."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True, slots=True)
class NetworkDescription:
    """The layers in the order they are run, and the sums over the network.

    `flops`: floating point operations of one forward pass of one image in evaluation; a
    multiplication and an addition count as two, and only convolutions and products are counted.
    """

    input_shape: tuple[int, ...]
    layers: tuple[LayerDescription, ...]
    parameters: int
    flops: int


def describe_network(spec: NetworkSpec) -> NetworkDescription:
    """Describe a network without taking memory for it: no weight and no pixel exists."""
    network = build_skeleton(spec).eval()
    layers: list[LayerDescription] = []
    for name, module in network.named_modules():
        if next(module.children(), None) is None:
            module.register_forward_hook(partial(_note_layer, layers, name))
    image = torch.empty(1, spec.channels, spec.size_px, spec.size_px, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(image)
    return NetworkDescription(
        input_shape=tuple(image.shape),
        layers=tuple(layers),
        parameters=_count_parameters(network),
        flops=int(counter.get_total_flops()),
    )


def _note_layer(
    layers: list[LayerDescription], name: str, module: nn.Module, _inputs: object, output: Tensor
) -> None:
    if any(layer.name == name for layer in layers):  # a decoder may run once for each draw
        return
    layers.append(
        LayerDescription(
            name=name,
            kind=type(module).__name__,
            output_shape=tuple(output.shape),
            parameters=_count_parameters(module),
        )
    )


def _count_parameters(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)
