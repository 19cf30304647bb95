"""The human page of a bundle: what it is for, what it was made from, what it promises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.bundle.manifest import Calibrations, Manifest
from models.calibration import Calibration
from models.domain import CHANGES, AppearanceDomain


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card tells beside the manifest; filled by the training run.

    `flow`: rows of split, label, patients, scans, slices. `measured`: name and value of each
    metric with its interval; empty where the cohort has no test split. `dropped`: scans that could
    not be read.
    """

    flow: Sequence[tuple[str, str, int, int, int]]
    measured: Mapping[str, str]
    training: Mapping[str, str]
    dropped: int


def build_card(manifest: Manifest, calibrations: Calibrations, facts: CardFacts) -> str:
    """Write the card in Markdown."""
    parts = [
        f"# {manifest.name}",
        _state_use(manifest),
        "## Cohort",
        _draw_table(("split", "label", "patients", "scans", "slices"), facts.flow),
        f"Scans that could not be read and were left out: {facts.dropped}.",
        _state_folds(manifest),
        "## Operating point",
        _state_promise("Single slices", calibrations.slice),
        _state_promise("Volumes", calibrations.volume),
        "## Measured",
        _state_measured(facts.measured),
        "## Training",
        _draw_table(("what", "value"), list(facts.training.items())),
        "## Domain",
        _state_domain(manifest),
        "## Limits",
        LIMITS,
    ]
    return "\n\n".join(parts) + "\n"


LIMITS = """\
- It compares a scan with healthy scans of its own cohort. It names no disease, and *typical* clears
  nobody.
- Disease that looks like healthy variation, is smaller than a few pixels of the network, or was
  common among the scans called healthy, is missed.
- Another scanner, protocol, age group or preparation can raise or lower all scores: calibrate with
  healthy scans of the place before use, and watch the alarm rate.
- The promise on false alarms holds for scans like those of the calibration, independent of each
  other; it says nothing about sensitivity.
- A scan outside the domain is *indeterminate*, with the reason."""


def _state_use(manifest: Manifest) -> str:
    purpose = (
        "Flags scans that do not look like the healthy scans it was trained on, for a human reader "
        "to look at first. Not for diagnostic use."
    )
    if manifest.is_synthetic:
        return f"**Trained on synthetic scans, for demonstration only.** {purpose}"
    return purpose


def _state_folds(manifest: Manifest) -> str:
    counts = manifest.origin.counts
    return (
        "Healthy training patients were divided into folds: "
        + ", ".join(f"{name} {counts[name]} scans" for name in counts)
        + f" (seed {manifest.origin.folds.seed})."
    )


def _state_promise(title: str, calibration: Calibration | None) -> str:
    if calibration is None:
        return f"**{title}.** Not calibrated: such scans are indeterminate."
    return f"**{title}.** Threshold {calibration.threshold:.3f}. {calibration.promise.statement}"


def _state_measured(measured: Mapping[str, str]) -> str:
    if not measured:
        return "The cohort has no test split; nothing was measured with abnormal scans."
    return (
        _draw_table(("metric", "value, 95 % interval"), list(measured.items()))
        + "\n\nMeasured on the test split, after this run had made its choices; how the recipe "
        "itself came by its numbers is told where it is published."
    )


def _state_domain(manifest: Manifest) -> str:
    domain = manifest.domain
    modalities = ", ".join(domain.modalities) or "not stated"
    unstated = "accepted" if domain.accepts_unstated else "indeterminate"
    rows = [
        ("modality", modalities),
        ("files that name no modality", unstated),
        ("body part", ", ".join(domain.body_parts) or "not stated"),
        ("sides", f"{domain.shortest_side_px} to {domain.longest_side_px} px"),
        ("aspect", f"up to {domain.largest_aspect:.2f} to 1"),
        ("colour", "accepted" if domain.accepts_color else "indeterminate"),
        ("distance of image statistics", f"up to {domain.statistics.limit:.1f}"),
        *_state_appearance(domain.appearance),
    ]
    return _draw_table(("what", "known"), rows)


def _state_appearance(appearance: AppearanceDomain | None) -> list[tuple[str, str]]:
    if appearance is None:
        return [("looks", "not learnt")]
    seen = f"{appearance.slices} healthy slices of {appearance.patients} patients"
    return [
        ("distance of looks", f"up to {appearance.distance_limit:.1f}"),
        ("refused for their looks", f"{appearance.rate:.0%} of healthy slices, set on {seen}"),
        ("told apart from", ", ".join(CHANGES[each] for each in appearance.changes) or "none"),
    ]


def _draw_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(str(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)
