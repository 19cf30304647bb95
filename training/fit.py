"""Healthy slices to a fitted network: one loop, exactly resumable, on one or several processes."""

import copy
import dataclasses
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.errors import InvalidCohort, TrainingDiverged
from models.networks.build import build_network, build_skeleton
from models.networks.reconstruction import Network, Reconstruction
from training.checkpoint import RunIdentity, read_checkpoint, write_checkpoint
from training.distributed import SINGLE, Group, average, share_numbers, spread_network
from training.feed import BatchFeed, FedBatch, Slices
from training.fit_state import FitState, HistoryPoint
from training.losses import compute_loss
from training.optimizer import WeightAverage, build_optimizer, set_schedule
from training.progress import FitProgress
from training.randomness import derive_seed, make_generator
from training.recipe import OptimizerSpec, Recipe
from training.selection import EMPTY_CHECK, Check, Examiner

CHECKPOINT_NAME = "checkpoint.safetensors"
# How often a checkpoint is written, as a share of the training, and the bar moves, in steps.
CHECKPOINT_SHARE = 0.02
STEPS_OF_PROGRESS = 10


@dataclass(frozen=True, slots=True)
class FitRun:
    """Where and with what a network is fitted; none of it is part of the recipe.

    `folder` holds the checkpoint of an interrupted run; the same call goes on from it. `features`:
    frozen network of the perceptual distance, on the CPU, where the recipe asks for it.
    """

    folder: Path
    cohort_digest: str
    seed: int
    device: torch.device
    group: Group = SINGLE
    features: nn.Module | None = None


@dataclass(frozen=True, slots=True)
class FittedNetwork:
    """The chosen weights, and how they came about.

    `network` is on the CPU and in evaluation mode. `duration_s` counts this call only, which may
    have resumed a run at `first_step`.
    """

    network: Network
    history: tuple[HistoryPoint, ...]
    chosen_step: int
    separation: float | None
    first_step: int
    duration_s: float


def fit_network(
    recipe: Recipe,
    fit_slices: Slices,
    validation_slices: Slices,
    run: FitRun,
    progress: FitProgress,
) -> FittedNetwork:
    """Fit a network to healthy slices and choose its weights on synthetic anomalies.

    The same recipe, slices, seed, device and number of threads give the same weights to the last
    bit, however often the run was killed and resumed in between.

    Args:
        recipe: what is learned, and how long.
        fit_slices: healthy slices of the fit fold.
        validation_slices: healthy slices of the validation fold.
        run: device, seed, work folder.
        progress: is told as it goes.

    Raises:
        InvalidCohort: a fold holds no slice.
        InvalidCheckpoint: the work folder holds a checkpoint of another run.
        TrainingDiverged: the loss is no longer a finite number.
    """
    started = time.monotonic()
    for name, slices in (("fit", fit_slices), ("validation", validation_slices)):
        if not len(slices):
            raise InvalidCohort(f"the {name} fold holds no slice")
    run.folder.mkdir(parents=True, exist_ok=True)
    with _deterministic_kernels():
        fitting = _Fitting(recipe, fit_slices, validation_slices, run, progress)
        first_step = fitting.state.step
        fitting.run_to_end()
    state = fitting.state
    network = fitting.build_chosen()
    return FittedNetwork(
        network=network,
        history=tuple(state.history),
        chosen_step=state.chosen_step,
        separation=state.chosen_separation,
        first_step=first_step,
        duration_s=time.monotonic() - started,
    )


class _Fitting:
    """One run: its state, and what moves it."""

    def __init__(
        self,
        recipe: Recipe,
        fit_slices: Slices,
        validation_slices: Slices,
        run: FitRun,
        progress: FitProgress,
    ) -> None:
        self.recipe = recipe
        self.run = run
        self.progress = progress
        self.identity = RunIdentity(recipe.digest, run.cohort_digest, run.seed, len(fit_slices))
        self.feed = BatchFeed(fit_slices, recipe, run.seed, run.group)
        self.examiner = Examiner(validation_slices, recipe, run.seed, run.features)
        self.features = None
        if run.features is not None:
            self.features = copy.deepcopy(run.features).to(run.device)
        self.state = self._build_state()
        checkpoint = read_checkpoint(run.folder / CHECKPOINT_NAME, self.identity)
        if checkpoint is not None:
            self.state.restore(checkpoint)
        self.examined = copy.deepcopy(self.state.network).eval()
        self.spread = spread_network(self.state.network, run.group)

    def run_to_end(self) -> None:
        """Take all steps that are left."""
        spec, state = self.recipe.optimizer, self.state
        self.progress.begin(state.step * spec.batch_size, spec.steps * spec.batch_size)
        if state.is_finished:
            return
        for batch in self.feed.run(state.step, self.run.device):
            rate = set_schedule(state.optimizer, spec, state.step)
            loss = self._take_step(batch)
            state.step += 1
            state.loss_total += loss
            state.average.update(state.network.parameters(), state.step)
            if state.step % STEPS_OF_PROGRESS == 0 or state.step == spec.steps:
                self._tell(loss)
            self._close_step(rate)
            if state.is_finished:
                break

    def build_chosen(self) -> Network:
        """Give the network with the weights that were kept, as a bundle would load them."""
        network = build_skeleton(self.recipe.pipeline.network).to_empty(device="cpu")
        network.load_state_dict(self.state.chosen or self.state.average_weights)
        return network.eval()

    def _build_state(self) -> FitState:
        network = build_network(
            self.recipe.pipeline.network, make_generator(self.run.seed, "weights", 0)
        )
        network = network.to(self.run.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        return FitState(
            network=network,
            optimizer=build_optimizer(network, self.recipe.optimizer),
            average=WeightAverage(network.parameters(), self.recipe.selection.ema_decay),
            loss_total=torch.zeros((), dtype=torch.float64, device=self.run.device),
        )

    def _take_step(self, batch: FedBatch) -> Tensor:
        """Move the weights by one batch; gives its mean loss: float32 []."""
        state, spec, device = self.state, self.recipe.optimizer, self.run.device
        state.optimizer.zero_grad(set_to_none=True)
        purpose = f"latent {self.run.group.rank}"
        generator = torch.Generator(device)
        generator.manual_seed(derive_seed(self.run.seed, purpose, state.step))
        shown = batch.shown.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=uses_half(spec, device)):
            drawn = self.spread(shown, generator=generator)
        loss = compute_loss(
            _to_full_precision(drawn),
            batch.image,
            batch.foreground,
            self.recipe.loss,
            state.step / spec.steps,
            self.features,
        ).mean()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(state.network.parameters(), spec.gradient_clip)
        state.optimizer.step()
        return loss.detach()

    def _tell(self, loss: Tensor) -> None:
        self._check_finite(loss)
        self.progress.advance(self.state.step * self.recipe.optimizer.batch_size, float(loss))

    def _check_finite(self, loss: Tensor) -> None:
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss is {float(loss)} after {self.state.step} steps; "
                "try a lower learning rate"
            )

    def _close_step(self, rate: float) -> None:
        """Look at the weights and write a checkpoint where it is time for it."""
        state, steps = self.state, self.recipe.optimizer.steps
        is_last = state.step == steps
        is_check = is_last or _is_due(state.step, steps, self.recipe.selection.interval_share)
        if not is_check and not _is_due(state.step, steps, CHECKPOINT_SHARE):
            return
        state.loss_total.copy_(average(state.loss_total, self.run.group))
        self._check_finite(state.loss_total)
        if is_check:
            self._check(rate)
            state.is_finished = is_last or self._has_settled()
        if self.run.group.is_first:
            tensors, facts = state.pack()
            write_checkpoint(self.run.folder / CHECKPOINT_NAME, tensors, facts, self.identity)

    def _check(self, rate: float) -> None:
        """Look at the averaged weights; near the end of the schedule they may be chosen."""
        state, spec = self.state, self.recipe.optimizer
        done_share = state.step / spec.steps
        is_candidate = done_share >= 1.0 - self.recipe.selection.candidate_share
        self.examined.load_state_dict(state.average_weights)
        check = EMPTY_CHECK
        if self.run.group.is_first:
            check = self.examiner.examine(self.examined, done_share, separates=is_candidate)
        check = self._share_check(check)
        state.take_check(check, rate, spec.batch_size)
        if is_candidate:
            state.consider(check.separation, self.recipe.selection.tolerance)
        self.progress.note(state.history[-1])

    def _share_check(self, check: Check) -> Check:
        """Let every process decide by what the first one saw."""
        separation = math.nan if check.separation is None else check.separation
        numbers = share_numbers([check.loss, separation], self.run.group, self.run.device)
        shared = None if math.isnan(numbers[1]) else numbers[1]
        return dataclasses.replace(check, loss=numbers[0], separation=shared)

    def _has_settled(self) -> bool:
        return self.state.falls >= self.recipe.selection.patience


def uses_half(spec: OptimizerSpec, device: torch.device) -> bool:
    """Tell whether the network runs in bfloat16: by itself on a GPU alone.

    On a CPU it is slower for networks this small: the casts cost more than the products save.
    """
    if spec.precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return spec.precision == "bfloat16"


def _is_due(step: int, steps: int, share: float) -> bool:
    return step % max(1, round(share * steps)) == 0


def _to_full_precision(drawn: Reconstruction) -> Reconstruction:
    """Measure losses in float32, whatever the network computed in."""

    def widen(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.float()

    return Reconstruction(
        image=drawn.image.float(),
        log_variance=widen(drawn.log_variance),
        latent_mean=widen(drawn.latent_mean),
        latent_log_variance=widen(drawn.latent_log_variance),
        address_entropy=widen(drawn.address_entropy),
    )


@contextmanager
def _deterministic_kernels() -> Iterator[None]:
    """Let cuDNN take the same kernel every time; the CPU does so anyway."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        yield
