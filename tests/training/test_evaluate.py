"""An evaluation tells what the bundle says of the test split, and nothing else moves it."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from models.decoding.limits import DecodeLimits
from models.detector import Detector
from models.errors import InvalidCohort
from models.normalize import Frame
from models.verdict import decide
from tests.builders.cohorts import Row, write_cohort, write_csv, write_picture
from tests.builders.evaluations import FOLDS, build_detector, write_lesion_cohort
from training import perceptual_weights
from training.cohort import Cohort, read_cohort
from training.dataset import decode_cohort_scan
from training.evaluate import Evaluation, evaluate_detector, restore_fit_fold
from training.evaluation_options import EvaluationOptions, Window, parse_window
from training.evaluation_table import build_tables, describe_measured, describe_rest
from training.examination import shrink_mask
from training.train import split_cohort

WINDOW = Window("position", 0.2, 0.8)
OPTIONS = EvaluationOptions(seed=0, windows=(WINDOW,), subgroups=("site",), resamples=50)
METRICS = ("auroc", "ap", "sensitivity_at_95_specificity", "sensitivity_at_90_specificity")


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cohort, Detector, Evaluation]:
    return evaluate(tmp_path_factory.mktemp("scans"), has_series=False)


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cohort, Detector, Evaluation]:
    return evaluate(tmp_path_factory.mktemp("slices"), has_series=True)


def evaluate(folder: Path, *, has_series: bool) -> tuple[Cohort, Detector, Evaluation]:
    cohort = read_cohort(write_lesion_cohort(folder, has_series=has_series))
    detector = build_detector(cohort)
    return cohort, detector, evaluate_detector(detector, cohort, OPTIONS, lambda: None)


def test_the_json_has_every_promised_key(scans: tuple[Cohort, Detector, Evaluation]) -> None:
    summary = json.loads(json.dumps(scans[2].summary, allow_nan=False))

    for name in METRICS:
        assert 0.0 <= summary["image"][name] <= 1.0
        assert len(summary["image"][f"{name}_ci"]) == 2
    assert all(0.0 <= summary["pixel"][n] <= 1.0 for n in ("ap", "ap_abnormal", "aupro"))
    assert summary["pixel"]["best_dice"] > 0.0
    assert summary["pixel"]["grid_px"] == 32
    assert summary["false_alarm"]["promised"] == 0.2
    assert 0.0 <= summary["false_alarm"]["realised"] <= 1.0
    assert summary["windows"]["position:0.2:0.8"]["auroc"] is not None
    assert set(summary["subgroups"]["site"]) == {"north", "(not stated)"}
    assert set(summary["labels"]) == {"blob", "spot"}
    assert set(summary["heads"]) == {"diffuse", "focal"}
    assert summary["n"] == 24
    assert summary["seconds_per_scan"] > 0.0
    assert "digest" in summary["bundle"]


def test_every_baseline_is_scored_on_the_same_scans(
    scans: tuple[Cohort, Detector, Evaluation],
) -> None:
    baselines = scans[2].summary["baselines"]

    assert set(baselines) == {
        "naive_bayes",
        "pca",
        "mean_distance",
        "raw_intensity",
        "blur_residual",
        "sharpness_high",
        "sharpness_low",
        "image_statistics",
    }
    assert all(0.0 <= each["auroc"] <= 1.0 for each in baselines.values())
    assert baselines["sharpness_low"]["auroc"] == pytest.approx(
        1.0 - baselines["sharpness_high"]["auroc"]
    )
    with_map = {name for name, each in baselines.items() if each["pixel_ap_abnormal"] is not None}
    assert with_map == {"naive_bayes", "pca", "mean_distance", "raw_intensity", "blur_residual"}


@pytest.mark.parametrize("has_series", [False, True])
def test_peers_stand_beside_the_baselines_where_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_series: bool
) -> None:
    monkeypatch.setattr(perceptual_weights, "PACKAGE", "no_such_package")
    cohort = read_cohort(write_lesion_cohort(tmp_path, has_series=has_series))
    detector = build_detector(cohort, "denoising_unet")
    options = dataclasses.replace(OPTIONS, peers=True)

    summary = evaluate_detector(detector, cohort, options, lambda: None).summary

    for name in ("padim_own", "patchcore_own", "feature_pca_own", "padim_own_mean"):
        assert 0.0 <= summary["baselines"][name]["auroc"] <= 1.0
        assert summary["baselines"][name]["pixel_best_dice"] > 0.0


def test_a_baseline_lies_behind_the_bundle_by_the_difference(
    scans: tuple[Cohort, Detector, Evaluation],
) -> None:
    summary = scans[2].summary

    for each in summary["baselines"].values():
        assert each["auroc_behind"] == pytest.approx(summary["image"]["auroc"] - each["auroc"])


def test_scores_and_verdicts_are_those_of_the_detector(
    scans: tuple[Cohort, Detector, Evaluation],
) -> None:
    cohort, detector, evaluation = scans

    found = {
        scan.name: detector.examine([decode_cohort_scan(scan, DecodeLimits())])[0].verdict
        for scan in cohort.scans("test")
    }

    units = evaluation.examination.units
    expected = [found[name] for name in units.names]
    assert units.scores.tolist() == [verdict.score for verdict in expected]
    assert units.verdicts == [verdict.label for verdict in expected]
    assert evaluation.summary["image"]["auroc"] == pytest.approx(
        roc_auc_score(units.is_abnormal, units.scores)
    )


def test_series_are_measured_by_slice_and_by_volume(
    slices: tuple[Cohort, Detector, Evaluation],
) -> None:
    _, detector, evaluation = slices
    summary, units = evaluation.summary, evaluation.examination.units

    assert (summary["unit"], summary["n"], summary["volume"]["n"]) == ("slice", 24, 6)
    assert summary["volume"]["abnormal"] == 5
    assert summary["counts"]["abnormal"] == 10
    single = detector.bundle.calibrations.slice
    assert units.verdicts == [
        decide(score, single, reason=None).label for score in units.scores.tolist()
    ]


def test_a_volume_without_calibration_promises_nothing(
    slices: tuple[Cohort, Detector, Evaluation],
) -> None:
    volume = slices[2].summary["volume"]

    assert volume["false_alarm"]["promised"] is None
    assert volume["indeterminate"]["abnormal"] == 5


def test_without_masks_there_are_no_pixel_metrics(tmp_path: Path) -> None:
    cohort = read_cohort(write_lesion_cohort(tmp_path, has_series=False))
    detector = build_detector(cohort)
    rows = [
        Row(row.path.relative_to(tmp_path).as_posix(), scan.split, row.label, row.patient)
        for split in ("train", "test")
        for scan in cohort.scans(split)
        for row in scan.rows
    ]
    write_csv(tmp_path, rows)
    plain = EvaluationOptions(seed=0, resamples=20)

    summary = evaluate_detector(detector, read_cohort(tmp_path), plain, lambda: None).summary

    assert summary["pixel"]["ap_abnormal"] is None
    assert summary["baselines"]["raw_intensity"]["pixel_ap_abnormal"] is None
    assert summary["image"]["auroc"] is not None


def test_scans_that_cannot_be_read_or_looked_at_are_counted(tmp_path: Path) -> None:
    cohort = read_cohort(write_lesion_cohort(tmp_path, has_series=False))
    detector = build_detector(cohort)
    (tmp_path / "test/0.png").write_bytes(b"nothing")
    write_picture(tmp_path / "test/1.png", np.zeros((48, 48), dtype=np.uint8))

    summary = evaluate_detector(detector, cohort, OPTIONS, lambda: None).summary

    assert summary["n"] == 22
    assert summary["counts"]["unread"] == {"unknown_format": 1}
    assert summary["indeterminate"]["unscored"] == 1


def test_a_cohort_without_a_test_split_is_refused(tmp_path: Path) -> None:
    cohort = read_cohort(write_lesion_cohort(tmp_path / "a", has_series=False))
    detector = build_detector(cohort)
    train_only = read_cohort(write_cohort(tmp_path / "b", [Row("a.png")]))

    with pytest.raises(InvalidCohort, match="test split"):
        evaluate_detector(
            detector, train_only, EvaluationOptions(seed=0, resamples=10), lambda: None
        )


def test_a_column_that_is_not_there_is_refused(
    scans: tuple[Cohort, Detector, Evaluation],
) -> None:
    cohort, detector, _ = scans

    with pytest.raises(InvalidCohort, match="no column age"):
        evaluate_detector(
            detector, cohort, dataclasses.replace(OPTIONS, subgroups=("age",)), lambda: None
        )


def test_the_fit_fold_is_the_one_of_the_training(
    scans: tuple[Cohort, Detector, Evaluation],
) -> None:
    cohort, detector, _ = scans

    class Recipe:
        folds = FOLDS

    expected = split_cohort(cohort, Recipe(), 0).fit  # type: ignore[arg-type]  # folds alone are read
    restored = restore_fit_fold(cohort.scans("train"), detector.bundle.manifest.origin.folds)
    assert [scan.name for scan in restored] == [scan.name for scan in expected]


def test_the_same_seed_gives_the_same_numbers(scans: tuple[Cohort, Detector, Evaluation]) -> None:
    cohort, detector, first = scans

    second = evaluate_detector(detector, cohort, OPTIONS, lambda: None)

    timeless = {"seconds_per_scan": None}
    assert first.summary | timeless == second.summary | timeless


def test_all_test_scans_are_walked_once(scans: tuple[Cohort, Detector, Evaluation]) -> None:
    cohort, detector, _ = scans
    steps: list[int] = []

    evaluate_detector(
        detector, cohort, dataclasses.replace(OPTIONS, resamples=10), lambda: steps.append(1)
    )

    assert len(steps) == len(cohort.scans("test"))


def test_a_mask_on_the_networks_grid_keeps_its_place() -> None:
    mask = np.zeros((40, 20), dtype=bool)
    mask[20:40, 0:10] = True
    frame = Frame(rows=40, columns=20, top=0, left=8, height=32, width=16, size_px=32)

    small = shrink_mask(mask, frame)

    expected = np.zeros((32, 16), dtype=bool)
    expected[16:, :8] = True
    assert (small == expected).all()


@pytest.mark.parametrize("text", ["position", "a:1", "a:2:1", "a:x:1", ":0:1", "a:0:inf"])
def test_a_window_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|convert"):
        parse_window(text)


def test_a_window_holds_its_bounds_and_no_words() -> None:
    window = parse_window("position:0.45:0.65")

    assert window.name == "position:0.45:0.65"
    assert [window.holds(text) for text in ("0.45", "0.65", "0.66", "", "x", "nan")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_tables_and_card_tell_every_metric(slices: tuple[Cohort, Detector, Evaluation]) -> None:
    summary = slices[2].summary

    titles = " ".join(table.title for table in build_tables(summary))
    measured = describe_measured(summary)

    for word in ("Whole scans", "Pixels", "False alarms", "Verdicts", "baselines", "By label"):
        assert word in titles
    assert {"AUROC, by slice", "AUROC, by volume", "pixel AP, abnormal slices"} <= set(measured)
    assert all(len(row) == len(t.head) for t in build_tables(summary) for row in t.rows)
    assert any("24 slices of 6 patients" in line for line in describe_rest(summary))


def test_the_evaluation_leaves_the_detector_as_it_was(
    scans: tuple[Cohort, Detector, Evaluation],
) -> None:
    cohort, detector, _ = scans
    before = {name: t.clone() for name, t in detector.pipeline.network.state_dict().items()}

    evaluate_detector(detector, cohort, dataclasses.replace(OPTIONS, resamples=10), lambda: None)

    after = detector.pipeline.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
