"""Cohort and budget to the recipe that suits it, told without a single abnormal scan.

Short trainings are compared by the panel of synthetic anomalies in healthy validation slices. The
best of them and the default then meet again after longer ones, and the default stays unless it is
clearly beaten: the panel tells networks apart that differ much, and is blind to small differences.
The heads and their weights are left alone, because there the panel was seen to mislead.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from models.specs import Share
from training.candidates import Candidate, shorten
from training.distributed import SINGLE
from training.panel import Panel, PanelSize, average
from training.recipe import Recipe
from training.train import (
    PreparedFit,
    SilentWatch,
    TrainingRun,
    TrainingWatch,
    fit_prepared,
    prepare_fit,
)

# Shares of the whole training that the first and the second round see.
FIRST_SHARE = 0.1
SECOND_SHARE = 0.3
# A candidate replaces the default if its separation is higher by this much.
TOLERANCE = 0.02
PANEL_SLICES = 64
# About so many altered slices are looked at; few slices get more kinds each.
PANEL_ALTERED = 320
# What a prediction of seconds is multiplied by, and the least of a training that is worth it.
CAUTION = 1.15
SMALLEST_SHARE = 0.25

Clock = Callable[[], float]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Trial:
    """What a short training gave: separation by the panel, and what it cost.

    `key` names recipe and slices: a search that was killed goes on with the trials that fit.
    """

    name: str
    key: str
    share: Share
    separation: float
    by_kind: dict[str, float]
    fit_s: float
    panel_s: float

    def __str__(self) -> str:
        """Tell it in a line."""
        cost = self.fit_s + self.panel_s
        return (
            f"{self.name}: separation {self.separation:.3f} after {self.share:.0%} "
            f"of the training, {cost:.0f} s"
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """The recipe that was chosen, what was tried, and why it was this one."""

    recipe: Recipe
    trials: tuple[Trial, ...]
    untried: tuple[str, ...]
    reason: str

    def describe(self) -> dict[str, str]:
        """Give the lines of the card."""
        told = {f"tried, {i}": str(trial) for i, trial in enumerate(self.trials, start=1)}
        if self.untried:
            told["not tried for want of time"] = ", ".join(self.untried)
        searched_s = sum(trial.fit_s + trial.panel_s for trial in self.trials)
        return {"chosen by auto": self.reason, "seconds, search": f"{searched_s:.0f}"} | told


def choose_recipe(
    run: TrainingRun,
    candidates: tuple[Candidate, ...],
    budget_s: float,
    tools: tuple[Clock, Say],
    watch: TrainingWatch,
) -> Choice:
    """Choose the recipe of a run within a budget that holds for the whole run.

    Args:
        run: its recipe is not used; trials and their slices are kept in its work folder.
        candidates: the default first.
        budget_s: for the search, the training and all that follows.
        tools: a clock in seconds, and who is told what is tried.
        watch: told how many trials are done.

    Raises:
        AegleError: cohort or checkpoint are not usable.
    """
    return _Search(run, candidates, budget_s, tools, watch).choose()


@dataclass(slots=True)
class _Search:
    run: TrainingRun
    candidates: tuple[Candidate, ...]
    budget_s: float
    tools: tuple[Clock, Say]
    watch: TrainingWatch
    trials: list[Trial] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)
    _began_s: float = 0.0
    _resumed_s: float = 0.0
    _known: list[Trial] = field(default_factory=list)

    def choose(self) -> Choice:
        clock, _ = self.tools
        self._known = self._read()
        self._began_s = clock()
        self.watch.start("trials", len(self.candidates))
        default = self._try(self.candidates[0], FIRST_SHARE)
        for candidate in self.candidates[1:]:
            if self._has_time(FIRST_SHARE, trials=1):
                self._try(candidate, FIRST_SHARE)
            else:
                self.untried.append(candidate.name)
        best = max(self.trials, key=lambda trial: trial.separation)
        if best is default:
            return self._conclude(default, default)
        if not self._has_time(SECOND_SHARE, trials=2):
            # After so short a training a lead means little.
            self.untried.append(f"{best.name} for longer")
            return self._conclude(default, default)
        default = self._try(self.candidates[0], SECOND_SHARE)
        return self._conclude(default, self._try(self._find(best.name), SECOND_SHARE))

    def _conclude(self, default: Trial, best: Trial) -> Choice:
        lead = best.separation - default.separation
        is_beaten = best.name != default.name and lead >= TOLERANCE
        winner = best if is_beaten else default
        reason = (
            f"{best.name}: separates {lead:.3f} better than the default"
            if is_beaten
            else f"default: no candidate separates better by {TOLERANCE}"
        )
        recipe = self._find(winner.name).recipe
        share = self._afford(winner)
        if share < 1.0:
            reason += f"; its training shortened to {share:.0%} to stay within the budget"
            images = round(share * recipe.optimizer.images_seen)
            changed = recipe.optimizer.model_copy(update={"images_seen": images})
            recipe = recipe.model_copy(update={"optimizer": changed})
        _, say = self.tools
        say(f"chosen: {reason}")
        renamed = recipe.model_copy(update={"name": f"auto_{winner.name}"})
        return Choice(renamed, tuple(self.trials), tuple(self.untried), reason)

    def _try(self, candidate: Candidate, share: float) -> Trial:
        _, say = self.tools
        run = replace(self.run, recipe=shorten(candidate.recipe, share))
        prepared = prepare_fit(run, SilentWatch())
        key = f"{run.recipe.digest[:16]} {prepared.key}"
        trial = next((known for known in self._known if known.key == key), None)
        if trial is None:
            trial = Trial(candidate.name, key, share, **self._fit(run, prepared))
        else:
            self._resumed_s += trial.fit_s + trial.panel_s
        self.trials.append(trial)
        self._write()
        self.watch.step(min(len(self.trials), len(self.candidates)))
        say(str(trial))
        return trial

    def _fit(self, run: TrainingRun, prepared: PreparedFit) -> dict[str, Any]:
        """Fit for a while and look at the weights; gives the rest of a trial."""
        clock, _ = self.tools
        started_s = clock()
        fitted = fit_prepared(run, prepared, SINGLE, SilentWatch())
        fitted_s = clock()
        panel = _draw_panel(run, prepared)
        by_kind = dict(panel.separate(fitted.network, run.recipe.pipeline.score))
        return {
            "separation": average(by_kind) or 0.0,
            "by_kind": by_kind,
            "fit_s": fitted_s - started_s,
            "panel_s": clock() - fitted_s,
        }

    def _has_time(self, share: float, trials: int) -> bool:
        """Say whether so many trials leave time for a whole default training."""
        first = self.trials[0]
        trial_s = first.fit_s * share / first.share + first.panel_s
        return self._left() >= CAUTION * trials * trial_s + self._predict(first, 1.0)

    def _afford(self, winner: Trial) -> float:
        """Give the share of the winner's training that there is time for."""
        rest_s = self._predict(winner, 0.0)
        whole_s = self._predict(winner, 1.0) - rest_s
        return max(SMALLEST_SHARE, min(1.0, (self._left() - rest_s) / max(whole_s, 1e-9)))

    def _predict(self, trial: Trial, share: float) -> float:
        """Predict the seconds of that share of a training and of all that follows it."""
        slices = PANEL_SLICES + PANEL_ALTERED
        scans = self.run.cohort.scans("train")
        following = len(scans) + len(self.run.cohort.scans("test"))
        # Fusion fold twice, calibration fold and test split once: about half of all scans.
        after_s = 0.5 * following * trial.panel_s / slices
        return CAUTION * (share * trial.fit_s / trial.share + after_s)

    def _left(self) -> float:
        clock, _ = self.tools
        return self.budget_s - (clock() - self._began_s) - self._resumed_s

    def _find(self, name: str) -> Candidate:
        return next(each for each in self.candidates if each.name == name)

    def _read(self) -> list[Trial]:
        """Give the trials of a search that was killed."""
        if not self._place.is_file():
            return []
        return [Trial(**each) for each in json.loads(self._place.read_text(encoding="utf-8"))]

    def _write(self) -> None:
        kept = [asdict(trial) for trial in self.trials]
        self._place.parent.mkdir(parents=True, exist_ok=True)
        aside = self._place.with_suffix(".partial")
        aside.write_text(json.dumps(kept, indent=2), encoding="utf-8")
        aside.rename(self._place)

    @property
    def _place(self) -> Path:
        return self.run.work / f"auto-{self.run.cohort_digest[:12]}-seed{self.run.seed}.json"


def _draw_panel(run: TrainingRun, prepared: PreparedFit) -> Panel:
    count = min(PANEL_SLICES, len(prepared.validation))
    kinds = max(1, PANEL_ALTERED // max(1, count))
    size = PanelSize(PANEL_SLICES, kinds)
    return Panel(prepared.validation, size, run.seed, prepared.features)
