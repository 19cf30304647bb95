import threading

import numpy as np
import pytest

from app.analysis.engine import EngineState
from app.analysis.scan_queue import Lane
from app.errors import EngineUnavailable, PoisonScan
from models.errors import BundleError, CheckFailed
from tests.builders.bundles import copy_bundle, edit_json, sign_again
from tests.builders.evaluations import draw_scan
from tests.builders.scans import make_scan

SCORE_TOLERANCE = 1e-6
WAIT_S = 60.0


def make_scans(count):
    return [make_scan(draw_scan(seed, has_lesion=bool(seed % 2))) for seed in range(count)]


def examine(engine, scans, lane=Lane.LIVE, digest=None):
    tasks = [engine.submit(scan, lane, digest, WAIT_S) for scan in scans]
    return [task.future.result(WAIT_S) for task in tasks]


@pytest.fixture
def other_bundle(tiny_bundle, tmp_path):
    folder = copy_bundle(tiny_bundle, tmp_path / "other")
    edit_json(folder / "manifest.json", lambda manifest: manifest.update(name="other"))
    sign_again(folder)
    return folder


def test_a_batch_of_one_and_a_batch_of_64_give_the_same(engine):
    scans = make_scans(64)

    alone = [examine(engine, [scan])[0].finding for scan in scans]
    together = [each.finding for each in examine(engine, scans)]

    for one, many in zip(alone, together, strict=True):
        assert many.verdict.label == one.verdict.label
        assert many.verdict.score == pytest.approx(one.verdict.score, abs=SCORE_TOLERANCE)
        assert [r.box for r in many.regions] == [r.box for r in one.regions]


def test_the_finding_is_that_of_the_detector(engine, tiny_detector):
    scan = make_scans(2)[1]

    examination = examine(engine, [scan])[0]

    expected = tiny_detector.examine([scan])[0].verdict
    assert examination.digest == tiny_detector.digest
    assert examination.finding.verdict.label == expected.label
    assert examination.finding.verdict.score == pytest.approx(expected.score, abs=SCORE_TOLERANCE)


def test_a_scan_that_cannot_be_looked_at_is_indeterminate_and_spoils_no_other(engine):
    blank = make_scan(np.zeros((48, 48)))

    found = examine(engine, [*make_scans(2), blank])

    verdicts = [each.finding.verdict for each in found]
    assert (verdicts[2].label, verdicts[2].score) == ("indeterminate", None)
    assert None not in [verdict.score for verdict in verdicts[:2]]


def test_a_poison_scan_fails_alone(engine, monkeypatch):
    poison, *others = make_scans(5)
    detector = engine._detectors[engine.status.live_digest]
    examine_sound = detector.examine

    def fail_on_poison(scans):
        if any(scan is poison for scan in scans):
            raise RuntimeError("CUDA kernel of doom")
        return examine_sound(scans)

    monkeypatch.setattr(detector, "examine", fail_on_poison)
    tasks = [engine.submit(scan, Lane.LIVE, None, WAIT_S) for scan in [poison, *others]]

    assert isinstance(tasks[0].future.exception(WAIT_S), PoisonScan)
    assert all(task.future.result(WAIT_S).finding for task in tasks[1:])
    assert engine.status.state is EngineState.READY


def test_an_engine_that_fails_its_own_check_blames_no_scan(engine, monkeypatch):
    detector = engine._detectors[engine.status.live_digest]

    def fail(*_arguments):
        raise CheckFailed

    monkeypatch.setattr(detector, "examine", fail)
    monkeypatch.setattr(detector, "replay_check", fail)
    task = engine.submit(make_scans(1)[0], Lane.LIVE, None, WAIT_S)

    assert isinstance(task.future.exception(WAIT_S), EngineUnavailable)
    assert engine.status.state is EngineState.FAILED
    assert "check" in engine.status.reason


def test_an_engine_without_bundle_is_loading_and_takes_nothing(idle_engine):
    with pytest.raises(EngineUnavailable):
        idle_engine.submit(make_scans(1)[0], Lane.LIVE)

    assert idle_engine.status.state is EngineState.LOADING


def test_a_dead_thread_is_told_at_once(engine):
    engine.stop(WAIT_S)

    assert engine.status.state is EngineState.FAILED
    assert engine.status.reason == "the engine's thread is dead"


def test_a_failure_is_told_until_a_bundle_loads(engine):
    digest = engine.status.live_digest

    engine.fail("digest_mismatch")
    failed = engine.status
    engine.choose(digest, None)

    assert (failed.state, failed.reason) == (EngineState.FAILED, "digest_mismatch")
    assert engine.status.state is EngineState.READY


def test_bundles_are_swapped_under_load_without_losing_a_scan(engine, tiny_bundle, other_bundle):
    tasks = []

    def send():
        tasks.extend(engine.submit(scan, Lane.LIVE, None, WAIT_S) for scan in make_scans(40))

    sender = threading.Thread(target=send)
    sender.start()
    chosen = [engine.status.live_digest]
    for folder in [other_bundle, tiny_bundle] * 3:
        chosen.append(engine.load(folder))
        engine.choose(chosen[-1], None)
    sender.join(WAIT_S)

    digests = [task.future.result(WAIT_S).digest for task in tasks]
    assert len(digests) == 40
    assert set(digests) <= set(chosen)
    assert engine.loaded == {chosen[-1]}


def test_a_scan_can_be_examined_under_a_bundle_that_is_not_live(engine, other_bundle):
    other = engine.load(other_bundle)

    found = examine(engine, make_scans(1), Lane.BACKGROUND, other)

    assert found[0].digest == other
    assert engine.status.live_digest != other


def test_only_bundles_in_use_stay_on_the_device(engine, other_bundle):
    live, other = engine.status.live_digest, engine.load(other_bundle)

    engine.choose(live, other)
    in_use = engine.loaded
    engine.choose(live, None)

    assert in_use == {live, other}
    assert engine.loaded == {live}


def test_a_bundle_in_use_is_not_unloaded(engine):
    engine.unload(engine.status.live_digest)

    assert engine.loaded == {engine.status.live_digest}


def test_a_held_bundle_stays_whatever_becomes_live_and_goes_when_let_go(
    engine, tiny_bundle, other_bundle
):
    live, other = engine.status.live_digest, engine.load(other_bundle)

    with engine.hold(other, other_bundle), engine.hold(other, other_bundle):
        engine.choose(other, None)
        engine.choose(engine.load(tiny_bundle), None)
        held = engine.loaded
    let_go = engine.loaded

    assert held == {live, other}
    assert let_go == {live}


def test_a_bundle_that_cannot_be_loaded_is_not_held(engine, tmp_path):
    live = engine.status.live_digest

    with pytest.raises(BundleError), engine.hold("0" * 64, tmp_path):
        pass

    assert engine.loaded == {live}


def test_stopping_examines_what_waits(engine):
    tasks = [engine.submit(scan, Lane.LIVE, None, WAIT_S) for scan in make_scans(20)]

    engine.stop(WAIT_S)

    assert all(task.future.done() for task in tasks)
