"""Gradients to the next weights: AdamW and its schedule, a plain function of the step.

A schedule without state has nothing to save: a resumed run cannot take it up at the wrong place.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from training.recipe import OptimizerSpec

# One cycle (Smith and Topin 2019, arXiv 1708.07120) with the numbers of torch's OneCycleLR: the
# rate starts at 1/25, ends at 1/250000, and momentum falls while the rate is high.
START_DIVISOR = 25.0
END_DIVISOR = 250_000.0
HIGH_MOMENTUM = 0.95
LOW_MOMENTUM = 0.85
# Of Adam, where the momentum does not cycle.
MOMENTUM = 0.9
SECOND_MOMENTUM = 0.999


def build_optimizer(network: nn.Module, spec: OptimizerSpec) -> torch.optim.AdamW:
    """Build AdamW for a network; `set_schedule` gives it its rate before each step."""
    return torch.optim.AdamW(
        network.parameters(),
        lr=spec.learning_rate,
        betas=(MOMENTUM, SECOND_MOMENTUM),
        weight_decay=spec.weight_decay,
        fused=True,
    )


def set_schedule(optimizer: torch.optim.Optimizer, spec: OptimizerSpec, step: int) -> float:
    """Set learning rate and momentum for a step, counted from 0; gives the rate."""
    rate, momentum = compute_schedule(spec, step)
    for group in optimizer.param_groups:
        group["lr"] = rate
        group["betas"] = (momentum, SECOND_MOMENTUM)
    return rate


def compute_schedule(spec: OptimizerSpec, step: int) -> tuple[float, float]:
    """Give learning rate and momentum of a step, counted from 0."""
    peak = spec.learning_rate
    warm_steps = spec.warmup_share * spec.steps
    is_cycle = spec.schedule == "one_cycle"
    start, end = (peak / START_DIVISOR, peak / END_DIVISOR) if is_cycle else (0.0, 0.0)
    high, low = (HIGH_MOMENTUM, LOW_MOMENTUM) if is_cycle else (MOMENTUM, MOMENTUM)
    if step + 1 < warm_steps:
        way = (step + 1) / warm_steps
        return _ease(start, peak, way), _ease(high, low, way)
    way = (step + 1 - warm_steps) / max(1.0, spec.steps - warm_steps)
    return _ease(peak, end, way), _ease(low, high, way)


def pack_moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Give everything the optimizer remembers, by parameter index and name."""
    return {
        f"{index}.{name}": tensor
        for index, moments in optimizer.state_dict()["state"].items()
        for name, tensor in moments.items()
    }


def unpack_moments(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give the optimizer back what `pack_moments` took from it."""
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        # Laid out in memory like its parameter, which the fused step relies on.
        moment = torch.empty_like(parameters[int(index)]).copy_(tensor) if tensor.ndim else tensor
        state.setdefault(int(index), {})[name] = moment
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


class WeightAverage:
    """Running mean of the weights, which is steadier than the last step's (Polyak 1992)."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self.weights = [parameter.detach().clone() for parameter in parameters]
        self.decay = decay

    @torch.no_grad()
    def update(self, parameters: Iterable[nn.Parameter], step: int) -> None:
        """Take in the weights after a step; early ones are forgotten sooner."""
        decay = min(self.decay, (1.0 + step) / (10.0 + step))
        current = [parameter.detach() for parameter in parameters]
        torch._foreach_lerp_(self.weights, current, 1.0 - decay)


def _ease(start: float, end: float, way: float) -> float:
    """Go from start to end along half a cosine; `way` 0..1."""
    return end + (start - end) * (1.0 + math.cos(math.pi * min(1.0, way))) / 2.0
