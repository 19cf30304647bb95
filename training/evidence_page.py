"""Records of cells to the page of evidence: every number on it comes from here."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import mean, stdev
from typing import Any

from training.evidence import REFERENCE, Cell, Record
from training.evidence_bars import try_bars

NOTHING = "-"
MINUTE_S = 60.0
HEAD = """\
# Evidence

Written by `make evidence` on {date}; no figure on this page was typed. A cell is one training and
its measurement on the cohort's test split; a bundle that lay in its cell already was measured as
it was. Where a row has several seeds it gives mean ± standard deviation over them; in brackets
stand the ends of the 95 % bootstrap intervals over patients, averaged over the seeds. Sensitivity
is that at 95 % specificity. Pixel figures are those of abnormal slices, on the network's grid;
AUPRO runs up to 30 % false alarms. Times are wall time on whatever else the machine did, with so
many threads as stand there; milliseconds are those of a slice with its decoding. Baselines and
peers are fitted on the same fit fold and scored on the same road (foreground, erosion, median) as
the method `{reference}`; peers stand under their name with `own` (features of the method's own
network) or `frozen` (EfficientNet-Lite0) features, and take the hottest 1 % of their map, or with
`mean` the whole body. Reports with the worst false alarms and misses in pictures lie beside the
cells (`report/report.html`); they are made from data that stay out of this repository.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One method or baseline: per seed its image metrics, pixel metrics, windows; and its cost."""

    name: str
    image: Sequence[Mapping[str, Any]]
    pixel: Sequence[Mapping[str, Any]]
    windows: Sequence[Mapping[str, Any]]
    cost: tuple[str, ...]


def build_page(records: Sequence[Record], wanted: Sequence[Cell], date: datetime) -> str:
    """Write the page in Markdown.

    Args:
        records: of all finished cells.
        wanted: the cells of the plan; those without a record are told as not run.
        date: of the page.
    """
    parts = [HEAD.format(date=date.date().isoformat(), reference=REFERENCE)]
    for cohort in dict.fromkeys(record.cohort for record in records):
        own = [record for record in records if record.cohort == cohort]
        parts.append(f"## {cohort}\n\n{_describe_cohort(own[0])}\n")
        parts += [_draw_main(own), _draw_heads(own), _draw_alarms(own), _draw_searches(own)]
    parts += [_draw_bars(records), _tell_missing(records, wanted)]
    return "\n".join(part for part in parts if part)


def build_head(records: Sequence[Record]) -> str:
    """Write the few lines for the README: of each cohort the methods and their best rivals."""
    lines = [("cohort", "method", "seeds", "AUROC", "sensitivity at 95 % specificity")]
    for cohort in dict.fromkeys(record.cohort for record in records):
        own = [record for record in records if record.cohort == cohort]
        rivals = sorted(_list_baselines(own), key=_rank, reverse=True)
        for row in [*_list_methods(own), *rivals[:2]]:
            auroc, sensitivity = _spread(row.image, "auroc"), _spread(row.image, SENSITIVITY)
            lines.append((cohort, row.name, str(len(row.image)), auroc, sensitivity))
    return _draw_table(lines[0], lines[1:])


SENSITIVITY = "sensitivity_at_95_specificity"


def _describe_cohort(record: Record) -> str:
    counts = record.summary["counts"]
    return (
        f"Test split: {counts['healthy']} healthy and {counts['abnormal']} abnormal "
        f"{record.summary['unit']}s of {counts['patients']} patients."
    )


def _draw_main(records: Sequence[Record]) -> str:
    rows = [*_list_methods(records), *_list_baselines(records)]
    windows = list(records[0].summary["windows"])
    has_pixels = any(record.summary["pixel"]["masked_slices"] for record in records)
    head = ["", "seeds", "AUROC", "sensitivity", *(f"AUROC in {name}" for name in windows)]
    head += ["pixel AP", "best Dice", "AUPRO"] if has_pixels else []
    head += ["parameters", "training", "ms a slice"]
    lines = []
    for row in rows:
        line = [row.name, str(len(row.image)), _spread(row.image, "auroc")]
        line.append(_spread(row.image, SENSITIVITY))
        line += [_spread([each[name] for each in row.windows], "auroc") for name in windows]
        if has_pixels:
            line += [_spread(row.pixel, name) for name in ("ap_abnormal", "best_dice", "aupro")]
        lines.append((*line, *row.cost))
    return _draw_table(head, lines)


def _list_methods(records: Sequence[Record]) -> Iterator[Row]:
    for method in dict.fromkeys(record.method for record in records):
        own = [record for record in records if record.method == method]
        yield Row(
            name=f"**{method}**",
            image=[record.summary["image"] for record in own],
            pixel=[record.summary["pixel"] for record in own],
            windows=[record.summary["windows"] for record in own],
            cost=_tell_cost(own),
        )


def _tell_cost(records: Sequence[Record]) -> tuple[str, str, str]:
    minutes = mean(record.training_s for record in records) / MINUTE_S
    slice_ms = 1000 * mean(record.seconds_a_slice for record in records)
    threads = max(record.threads for record in records)
    parameters = f"{mean(record.parameters for record in records) / 1e6:.2f} M"
    return parameters, f"{minutes:.0f} min, {threads} thread(s)", f"{slice_ms:.0f}"


def _list_baselines(records: Sequence[Record]) -> Iterator[Row]:
    """Give the baselines and peers of the reference, or of the only method there is."""
    own = [record for record in records if record.method == REFERENCE] or records[:1]
    for name in own[0].summary["baselines"]:
        found = [record.summary["baselines"].get(name) for record in own]
        kept = [each for each in found if each is not None]
        pixel = [{key.removeprefix("pixel_"): value for key, value in e.items()} for e in kept]
        windows = [each.get("windows") or {} for each in kept]
        yield Row(name, kept, pixel, windows, (NOTHING, NOTHING, NOTHING))


def _draw_heads(records: Sequence[Record]) -> str:
    """Draw what each head would be alone: the ablation that needs no training."""
    lines = []
    for record in records:
        for name, metrics in record.summary["heads"].items():
            behind = _show(metrics["auroc_behind"])
            line = (record.method, str(record.seed), name, _show(metrics["auroc"]), behind)
            lines.append((*line, _show(metrics[SENSITIVITY])))
    head = ("method", "seed", "head alone", "AUROC", "behind both", "sensitivity")
    return "### Heads alone\n\n" + _draw_table(head, lines)


def _draw_alarms(records: Sequence[Record]) -> str:
    lines = []
    for record in records:
        alarm = record.summary["false_alarm"]
        expected = alarm["expected"]
        told = NOTHING
        if expected is not None:
            place = "inside" if alarm["is_within_expected"] else "**outside**"
            told = f"{expected['low']:.3f} to {expected['high']:.3f}: {place}"
        shown = [_show(alarm[name]) for name in ("promised", "realised", "realised_by_patient")]
        sensitivity = _show(record.summary["verdicts"]["sensitivity"])
        lines.append((record.method, str(record.seed), *shown, told, sensitivity))
    head = (
        "method",
        "seed",
        "promised",
        "realised",
        "by patient",
        "to expect",
        "sensitivity there",
    )
    return "### False alarms at the operating point\n\n" + _draw_table(head, lines)


def _draw_searches(records: Sequence[Record]) -> str:
    """Draw what `auto` tried, where it did."""
    lines = [
        (str(record.seed), name, text)
        for record in records
        for name, text in record.training.items()
        if name.startswith(("tried", "chosen by", "not tried"))
    ]
    head = ("seed", "", "")
    return "### What `auto` tried\n\n" + _draw_table(head, lines) if lines else ""


def _draw_bars(records: Sequence[Record]) -> str:
    lines = [
        (
            each.cohort,
            each.method,
            str(each.seeds),
            each.bar.what,
            f"{'at most' if each.bar.is_ceiling else 'at least'} {each.bar.limit:g}",
            _show(each.found),
            "met" if each.is_met else "**missed**" if each.found is not None else "not measured",
        )
        for each in try_bars(records)
    ]
    head = ("cohort", "method", "seeds", "what", "bar", "found", "")
    return "## Bars\n\n" + _draw_table(head, lines)


def _tell_missing(records: Sequence[Record], wanted: Sequence[Cell]) -> str:
    done = {Cell(record.cohort, record.method, record.seed) for record in records}
    missing = [cell for cell in wanted if cell not in done]
    dates = sorted({record.measured_at.date().isoformat() for record in records})
    text = f"## Cells\n\n{len(done)} cells, measured on {', '.join(dates)}."
    if missing:
        named = ", ".join(f"{cell.cohort} {cell.method} {cell.seed}" for cell in missing)
        text += f" Planned and not run: {named}."
    return text + "\n"


def _rank(row: Row) -> float:
    values = [each["auroc"] for each in row.image if each.get("auroc") is not None]
    return mean(values) if values else 0.0


def _spread(metrics: Iterable[Mapping[str, Any]], name: str) -> str:
    """Give mean, standard deviation over seeds, and the mean ends of the intervals."""
    found = [each for each in metrics if each.get(name) is not None]
    if not found:
        return NOTHING
    values = [float(each[name]) for each in found]
    text = f"{mean(values):.3f}"
    if len(values) > 1:
        text += f" ± {stdev(values):.3f}"
    intervals = [each.get(f"{name}_ci") for each in found]
    ends = [each for each in intervals if each and None not in each]
    if len(ends) == len(found):
        low, high = mean(each[0] for each in ends), mean(each[1] for each in ends)
        text += f" ({low:.3f} to {high:.3f})"
    return text


def _show(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _draw_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines) + "\n"
