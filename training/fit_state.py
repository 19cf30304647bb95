"""Everything a training run remembers between two steps; packed into a checkpoint and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.errors import InvalidCheckpoint
from models.networks.reconstruction import Network
from models.specs import Spec
from training.checkpoint import Checkpoint
from training.optimizer import WeightAverage, pack_moments, unpack_moments
from training.selection import Check


class HistoryPoint(Spec):
    """One look at the run, for curves and the card.

    `loss` is the mean over the steps since the point before; `separation` is None until weights may
    be chosen, and where there are too few validation slices.
    """

    step: int
    images_seen: int
    learning_rate: float
    loss: float
    validation_loss: float
    separation: float | None
    by_kind: Mapping[str, float]
    active_latent: int | None


class FitFacts(Spec):
    """What a checkpoint says beside its tensors."""

    step: int
    is_finished: bool
    history: tuple[HistoryPoint, ...]
    chosen_step: int
    chosen_separation: float | None
    best_separation: float | None
    falls: int


@dataclass(slots=True)
class FitState:
    """Weights, moments, averages and choices of a run after `step` steps.

    `loss_total`: float64 [], sum of the losses since the last point. `chosen`: weights that are
    kept so far, with their step and separation; None before the first candidate. `falls`: checks in
    a row that fell under the best.
    """

    network: Network
    optimizer: torch.optim.AdamW
    average: WeightAverage
    loss_total: Tensor
    step: int = 0
    is_finished: bool = False
    history: list[HistoryPoint] = field(default_factory=list)
    chosen: dict[str, Tensor] | None = None
    chosen_step: int = 0
    chosen_separation: float | None = None
    best_separation: float | None = None
    falls: int = 0

    @property
    def average_weights(self) -> dict[str, Tensor]:
        """Weights of the averaged network, with the buffers of the current one."""
        weights = {name: tensor.detach() for name, tensor in self.network.state_dict().items()}
        names = [name for name, _ in self.network.named_parameters()]
        weights.update(zip(names, self.average.weights, strict=True))
        return weights

    def take_check(self, check: Check, learning_rate: float, batch_size: int) -> None:
        """Write a look at the weights into the history, and begin a new mean of the loss."""
        steps = self.step - (self.history[-1].step if self.history else 0)
        self.history.append(
            HistoryPoint(
                step=self.step,
                images_seen=self.step * batch_size,
                learning_rate=learning_rate,
                loss=float(self.loss_total) / max(1, steps),
                validation_loss=check.loss,
                separation=check.separation,
                by_kind=dict(check.by_kind),
                active_latent=check.active_latent,
            )
        )
        self.loss_total.zero_()

    def consider(self, separation: float | None, tolerance: float) -> None:
        """Keep the averaged weights unless they separate clearly worse than the best so far.

        Without a separation the latest are kept: the end of a schedule is its best guess.
        """
        if separation is not None:
            best = self.best_separation
            self.best_separation = separation if best is None else max(best, separation)
            if separation < self.best_separation - tolerance:
                self.falls += 1
                return
        self.falls = 0
        self.chosen = {name: tensor.clone() for name, tensor in self.average_weights.items()}
        self.chosen_step = self.step
        self.chosen_separation = separation

    def pack(self) -> tuple[dict[str, Tensor], dict[str, object]]:
        """Give tensors and facts for a checkpoint."""
        parts: dict[str, Mapping[str, Tensor]] = {
            "network": self.network.state_dict(),
            "optimizer": pack_moments(self.optimizer),
            "average": {str(index): t for index, t in enumerate(self.average.weights)},
            "chosen": self.chosen or {},
            "loss": {"total": self.loss_total},
        }
        tensors = {
            f"{part}/{name}": t for part, named in parts.items() for name, t in named.items()
        }
        facts = FitFacts(
            step=self.step,
            is_finished=self.is_finished,
            history=tuple(self.history),
            chosen_step=self.chosen_step,
            chosen_separation=self.chosen_separation,
            best_separation=self.best_separation,
            falls=self.falls,
        )
        return tensors, facts.model_dump(mode="json")

    def restore(self, checkpoint: Checkpoint) -> None:
        """Become exactly what was packed.

        Raises:
            InvalidCheckpoint: something is missing or does not fit the network.
        """
        try:
            self._restore_tensors(checkpoint.tensors)
            self._restore_facts(FitFacts.model_validate(checkpoint.facts))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InvalidCheckpoint(f"the checkpoint does not fit this run: {error}") from error

    def _restore_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            part, name = key.split("/", 1)
            parts.setdefault(part, {})[name] = tensor
        self.network.load_state_dict(parts["network"])
        unpack_moments(self.optimizer, parts["optimizer"])
        with torch.no_grad():
            for index, weights in enumerate(self.average.weights):
                weights.copy_(parts["average"][str(index)])
            self.loss_total.copy_(parts["loss"]["total"])
        device = self.loss_total.device
        self.chosen = {name: t.to(device) for name, t in parts.get("chosen", {}).items()} or None

    def _restore_facts(self, facts: FitFacts) -> None:
        self.step = facts.step
        self.is_finished = facts.is_finished
        self.history = list(facts.history)
        self.chosen_step = facts.chosen_step
        self.chosen_separation = facts.chosen_separation
        self.best_separation = facts.best_separation
        self.falls = facts.falls
