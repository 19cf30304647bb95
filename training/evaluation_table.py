"""An evaluation's numbers as tables for a terminal, for the card and for the report."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from training.metrics import IMAGE_METRICS

Summary = Mapping[str, Any]

IMAGE_TITLES = dict(
    zip(
        IMAGE_METRICS,
        ("AUROC", "average precision", "sensitivity at 95 % spec.", "sensitivity at 90 % spec."),
        strict=True,
    )
)
PIXEL_TITLES = {
    "ap": "pixel AP, all slices",
    "ap_abnormal": "pixel AP, abnormal slices",
    "best_dice": "best Dice",
    "aupro": "AUPRO, up to 30 %",
    "hottest_inside": "hottest point in the lesion, share of abnormal slices",
    "clean": "nothing over the pixel threshold, share of healthy slices",
}


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table of finished texts; the first column names the row."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def build_tables(summary: Summary) -> Iterator[TextTable]:
    """Give all tables of an evaluation, those without a row left out."""
    builders = (_tell_image, _tell_pixels, _tell_alarms, _tell_verdicts, _tell_parts, _tell_groups)
    for build in builders:
        for table in build(summary):
            if table.rows:
                yield _drop_empty(table)


def print_evaluation(summary: Summary, console: Console) -> None:
    """Print all tables, and what no number tells."""
    for text in build_tables(summary):
        table = Table(title=text.title, title_justify="left", box=box.SIMPLE_HEAD)
        table.add_column(text.head[0], no_wrap=True)
        for name in text.head[1:]:
            table.add_column(name, justify="right")
        for row in text.rows:
            table.add_row(*row)
        console.print(table)
    for line in describe_rest(summary):
        console.print(line, highlight=False, markup=False)


def describe_rest(summary: Summary) -> list[str]:
    """Give what was counted, left out or undecided, a sentence each."""
    counts = summary["counts"]
    unit = summary["unit"]
    counted = (
        f"{summary['n']} {unit}s of {counts['patients']} patients: {counts['healthy']} healthy, "
        f"{counts['abnormal']} abnormal; {1000 * summary['seconds_per_scan']:.1f} ms a scan, "
        "decoding included."
    )
    lines = [counted]
    if statement := summary["false_alarm"]["statement"]:
        lines.append(f"Promise: {statement}")
    unread = sum(counts["unread"].values())
    unscored = sum(counts["unscored"].values())
    if unread or unscored:
        lines.append(f"Left out: {unread} scans could not be read, {unscored} not be looked at.")
    reasons = summary["indeterminate"]["reasons"]
    lines.extend(f"Indeterminate, {count}: {reason}" for reason, count in reasons.items())
    return lines


def describe_measured(summary: Summary) -> dict[str, str]:
    """Give the metrics of the card: name, and value with its interval."""
    unit = summary["unit"]
    measured = {
        f"{title}, by {unit}": show_interval(summary["image"], name)
        for name, title in IMAGE_TITLES.items()
    }
    if volume := summary["volume"]:
        measured |= {
            f"{title}, by volume": show_interval(volume, name)
            for name, title in IMAGE_TITLES.items()
        }
    if summary["pixel"]["masked_slices"]:
        pixel = summary["pixel"]
        measured |= {title: show_interval(pixel, name) for name, title in PIXEL_TITLES.items()}
    alarm = summary["false_alarm"]
    measured["false alarm rate, realised"] = show_interval(alarm, "realised")
    for name, baseline in summary["baselines"].items():
        measured[f"AUROC of the baseline {name}"] = show_interval(baseline, "auroc")
    measured["not in these numbers"] = _describe_left_out(summary)
    return {name: value for name, value in measured.items() if value != NOTHING}


NOTHING = "-"


def show_interval(metrics: Summary, name: str) -> str:
    """Show a value with its 95 % interval: `0.861 (0.840-0.883)`; a dash where undefined."""
    value = metrics.get(name)
    interval = metrics.get(f"{name}_ci")
    if value is None:
        return NOTHING
    if not interval or None in interval:
        return f"{value:.3f}"
    return f"{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def _drop_empty(table: TextTable) -> TextTable:
    """Leave out columns that hold nothing in any row."""
    kept = [
        place
        for place in range(len(table.head))
        if place == 0 or any(row[place] != NOTHING for row in table.rows)
    ]
    return TextTable(
        title=table.title,
        head=tuple(table.head[place] for place in kept),
        rows=tuple(tuple(row[place] for place in kept) for row in table.rows),
    )


def _describe_left_out(summary: Summary) -> str:
    counts = summary["counts"]
    left_out = sum(counts["unread"].values()) + sum(counts["unscored"].values())
    undecided = summary["indeterminate"]
    count = undecided["healthy"] + undecided["abnormal"]
    return f"{left_out} scans without a score; {count} indeterminate ones are in them"


def _tell_image(summary: Summary) -> Iterator[TextTable]:
    by_unit = {f"by {summary['unit']}": summary["image"]}
    if summary["volume"]:
        by_unit["by volume"] = summary["volume"]
    rows = (
        (title, *(show_interval(metrics, name) for metrics in by_unit.values()))
        for name, title in IMAGE_TITLES.items()
    )
    yield TextTable("Whole scans (95 % interval over patients)", ("", *by_unit), tuple(rows))


def _tell_pixels(summary: Summary) -> Iterator[TextTable]:
    pixel = summary["pixel"]
    if pixel["masked_slices"]:
        rows = ((title, show_interval(pixel, name)) for name, title in PIXEL_TITLES.items())
        title = f"Pixels, on the network's grid of {pixel['grid_px']} px"
        yield TextTable(title, ("", "value"), tuple(rows))


def _tell_alarms(summary: Summary) -> Iterator[TextTable]:
    alarms = {f"by {summary['unit']}": summary["false_alarm"]}
    if summary["volume"]:
        alarms["by volume"] = summary["volume"]["false_alarm"]
    rows = (
        (
            name,
            NOTHING if alarm["promised"] is None else f"at most {alarm['promised']:.3f}",
            show_interval(alarm, "realised"),
            show_interval(alarm, "realised_by_patient"),
            _show_expected(alarm),
            f"{alarm['alarms']} of {alarm['healthy']}",
        )
        for name, alarm in alarms.items()
    )
    head = ("", "promised", "realised", "by patient", "to expect in such a test", "alarms")
    yield TextTable("False alarms among healthy scans", head, tuple(rows))


def _show_expected(alarm: Summary) -> str:
    expected = alarm["expected"]
    if expected is None:
        return NOTHING
    place = "inside" if alarm["is_within_expected"] else "OUTSIDE"
    return f"{expected['low']:.3f} to {expected['high']:.3f}: {place}"


def _tell_verdicts(summary: Summary) -> Iterator[TextTable]:
    verdicts = summary["verdicts"]
    rows = (
        (name, str(verdicts[name]["healthy"]), str(verdicts[name]["abnormal"]))
        for name in ("typical", "anomalous", "indeterminate")
    )
    title = f"Verdicts; sensitivity {show_interval(verdicts, 'sensitivity')}"
    yield TextTable(title, ("", "healthy", "abnormal"), tuple(rows))


def _tell_parts(summary: Summary) -> Iterator[TextTable]:
    windows = tuple(summary["windows"])
    has_pixels = bool(summary["pixel"]["masked_slices"])
    head = ("", "AUROC", "AP", "behind the bundle by", *(f"AUROC in {name}" for name in windows))
    own = {"auroc": summary["image"]["auroc"], "auroc_ci": summary["image"]["auroc_ci"]}
    bundle = own | {"ap": summary["image"]["ap"], "windows": summary["windows"]}
    bundle["pixel_ap_abnormal"] = summary["pixel"]["ap_abnormal"]
    parts = {
        "bundle": bundle,
        **{f"head {name}": metrics for name, metrics in summary["heads"].items()},
        **{f"baseline {name}": metrics for name, metrics in summary["baselines"].items()},
    }
    rows = []
    for name, metrics in parts.items():
        row = [name, show_interval(metrics, "auroc"), show_interval({"ap": metrics["ap"]}, "ap")]
        row.append(show_interval(metrics, "auroc_behind"))
        inside = metrics.get("windows") or {}
        row += [show_interval({"a": inside[w]["auroc"]}, "a") for w in windows if w in inside]
        if has_pixels:
            row.append(show_interval({"p": metrics.get("pixel_ap_abnormal")}, "p"))
        rows.append(tuple(row))
    if has_pixels:
        head = (*head, "pixel AP, abnormal")
    yield TextTable("Beside heads and baselines, on the same scans", head, tuple(rows))


def _tell_groups(summary: Summary) -> Iterator[TextTable]:
    yield _list_groups("By label, each against all healthy", summary["labels"])
    yield _list_groups("By window", summary["windows"])
    for column, groups in summary["subgroups"].items():
        yield _list_groups(f"By {column}", groups)


def _list_groups(title: str, groups: Summary) -> TextTable:
    rows = (
        (
            name,
            f"{metrics['healthy']} / {metrics['abnormal']}",
            show_interval(metrics, "auroc"),
            show_interval(metrics, "ap"),
            show_interval(metrics, "sensitivity_at_95_specificity"),
            show_interval(metrics, "false_alarm"),
        )
        for name, metrics in groups.items()
    )
    head = ("", "healthy / abnormal", "AUROC", "AP", "sensitivity at 95 %", "false alarms")
    return TextTable(title, head, tuple(rows))
