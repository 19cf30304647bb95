"""`aegle operate`: an operating point chosen on labelled scans, by the name of its rule."""

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import Progress

from models.bundle.manifest import Calibrations, Check
from models.bundle.write import BundleContent, write_bundle
from models.calibration import Calibration, ChosenPoint
from models.detector import Detector, unpack_check_scan
from models.device import choose_device
from models.errors import InvalidCohort
from training.bootstrap import RESAMPLES
from training.cohort import read_cohort
from training.device import DeviceName
from training.examination import Examination, Examiner
from training.operating_points import (
    Estimate,
    LabelledScores,
    OperatingRule,
    choose_operating_point,
)
from training.publish import assemble_detector
from training.units import UnitTable

# The numbers that a rule takes, in the order they are written after its name.
RULE_NUMBERS = {
    "target_sensitivity": ("sensitivity",),
    "youden": (),
    "f1": (),
    "cost": ("missed", "false_alarm", "abnormal_share"),
}

POINT_TITLE = "## Operating point"
MEASURED_TITLE = "## Measured"
AT_FORMER_POINT = (
    "The false alarm rate was realised at the threshold of the bundle this one was made from."
)


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("operate")(operate)


def operate(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of the bundle.")],
    cohort: Annotated[
        Path, typer.Argument(metavar="COHORT", help="Labelled scans, in its split `test`.")
    ],
    rule: Annotated[
        str,
        typer.Option(
            help="youden, f1, target_sensitivity:SHARE, or cost:MISSED:FALSE_ALARM:ABNORMAL_SHARE."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle; must not be there.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    device: Annotated[DeviceName, typer.Option(help="Where the network runs.")] = DeviceName.AUTO,
) -> None:
    """Choose the threshold on labelled scans and publish it as a new bundle.

    The scans must be others than those the bundle is judged on later. The promise on false alarms,
    which needs no abnormal scan, is given up for what was measured here.

    Examples:

        aegle operate var/bundles/chest labelled/ --rule target_sensitivity:0.95 --out new/

        aegle operate var/bundles/chest labelled/ --rule cost:10:1:0.05 --out new/
    """
    chosen = parse_rule(rule)
    console = Console(highlight=False, soft_wrap=True)
    detector = Detector.load(bundle, choose_device(device))
    scans = read_cohort(cohort).scans("test")
    with Progress(console=console, transient=True) as bars:
        task = bars.add_task("score", total=len(scans))
        examined = Examiner(detector, {}, ()).examine(scans, lambda: bars.advance(task))
    calibrations = choose_thresholds(detector, examined, (chosen, rule), seed)
    digest = publish_operating_point(detector, calibrations, out)
    for title, calibration in (("slices", calibrations.slice), ("volumes", calibrations.volume)):
        if calibration is not None:
            console.print(f"{title}: threshold {calibration.threshold:.3f}. ", end="")
            console.print(calibration.promise.statement, markup=False)
    console.print(f"{out}: digest {digest}", markup=False)


def parse_rule(text: str) -> OperatingRule:
    """Read a rule written as its name and its numbers, parted by colons.

    Raises:
        BadParameter: no such rule, or numbers that it does not take.
    """
    name, *numbers = text.split(":")
    keys = RULE_NUMBERS.get(name)
    if keys is None or len(keys) != len(numbers):
        known = ", ".join(":".join((rule, *takes)) for rule, takes in RULE_NUMBERS.items())
        raise typer.BadParameter(f"expected one of {known}; found {text}", param_hint="--rule")
    adapter: TypeAdapter[OperatingRule] = TypeAdapter(OperatingRule)
    try:
        return adapter.validate_python({"rule": name, **dict(zip(keys, numbers, strict=True))})
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise typer.BadParameter(f"{text}: {reason}", param_hint="--rule") from error


def choose_thresholds(
    detector: Detector, examined: Examination, rule: tuple[OperatingRule, str], seed: int
) -> Calibrations:
    """Choose the thresholds of slices and, where volumes of both kinds are there, of volumes.

    Raises:
        InvalidCohort: the labelled scans are all healthy or all abnormal.
    """
    kept = detector.bundle.calibrations
    holds_volumes = examined.volumes is None and examined.usual_slice_count > 1
    slices = None if holds_volumes else examined.units
    volumes = examined.units if holds_volumes else examined.volumes
    by_slice = _choose(kept.slice, slices, rule, seed)
    by_volume = _choose(kept.volume, volumes, rule, seed)
    if by_slice is None and by_volume is None:
        raise InvalidCohort("an operating point needs healthy and abnormal scans in the split test")
    return Calibrations(slice=by_slice or kept.slice, volume=by_volume or kept.volume)


def publish_operating_point(detector: Detector, calibrations: Calibrations, folder: Path) -> str:
    """Write the bundle with other thresholds; all else stays."""
    bundle = detector.bundle
    manifest = bundle.manifest.model_copy(update={"name": folder.name})
    changed = assemble_detector(manifest, calibrations, detector.pipeline)
    scans = []
    for check in bundle.check.scans:
        verdict = changed.examine([unpack_check_scan(check)])[0].verdict
        scans.append(check.model_copy(update={"score": verdict.score, "verdict": verdict.label}))
    lines = [
        f"**{title}.** Threshold {calibration.threshold:.3f}. {calibration.promise.statement}"
        for title, calibration in (("Slices", calibrations.slice), ("Volumes", calibrations.volume))
        if calibration is not None
    ]
    before, _, rest = bundle.card.partition(POINT_TITLE)
    _, measured, after = rest.partition(MEASURED_TITLE)
    point = POINT_TITLE + "\n\n" + "\n\n".join(lines)
    card = f"{before}{point}\n\n{measured}\n\n{AT_FORMER_POINT}{after}"
    content = BundleContent(manifest, calibrations, card, Check(scans=tuple(scans)), bundle.weights)
    return write_bundle(content, folder, lambda aside: Detector.load(aside, torch.device("cpu")))


def _choose(
    calibration: Calibration | None,
    units: UnitTable | None,
    rule: tuple[OperatingRule, str],
    seed: int,
) -> Calibration | None:
    if calibration is None or units is None:
        return None
    is_abnormal = units.is_abnormal
    if is_abnormal.all() or not is_abnormal.any():
        return None
    labelled = LabelledScores(np.asarray(units.scores), is_abnormal, units.patients)
    point = choose_operating_point(labelled, rule[0], RESAMPLES, np.random.default_rng(seed))
    chosen = ChosenPoint(
        rule=rule[1],
        sensitivity=_spread(point.sensitivity),
        specificity=_spread(point.specificity),
        healthy=int((~is_abnormal).sum()),
        abnormal=int(is_abnormal.sum()),
    )
    # A point flags its threshold itself; a calibration flags what is above.
    below = float(np.nextafter(point.threshold.value, -np.inf))
    return calibration.model_copy(update={"threshold": below, "promise": chosen})


def _spread(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.low, estimate.high
