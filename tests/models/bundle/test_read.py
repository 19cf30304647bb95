import json
from pathlib import Path

import pytest
import torch

from models.bundle import layout
from models.bundle.read import read_bundle
from models.detector import Detector
from models.errors import (
    BundleError,
    BundleNotFound,
    CheckFailed,
    DigestMismatch,
    InvalidManifest,
    UnknownBundleVersion,
    WeightsMismatch,
)
from tests.builders.bundles import copy_bundle, edit_json, edit_weights, sign_again

CPU = torch.device("cpu")
# A pickle that would run a command when unpickled.
PICKLE = b"cos\nsystem\n(S'touch /tmp/aegle-was-here'\ntR."
FILES = (layout.MANIFEST, *layout.DIGESTED_FILES)


@pytest.fixture
def bundle(tiny_bundle, tmp_path) -> Path:
    return copy_bundle(tiny_bundle, tmp_path / "copy")


def find_weight(weights, prefix):
    return next(name for name in sorted(weights) if name.startswith(prefix))


def set_weight(prefix, change):
    """Give an edit that replaces the first tensor under a prefix."""

    def edit(weights):
        name = find_weight(weights, prefix)
        weights[name] = change(weights[name])

    return edit


def set_scan(**facts):
    return lambda check: check["scans"][0].update(facts)


def test_a_bundle_reads_as_it_was_published(tiny_bundle):
    found = read_bundle(tiny_bundle)

    assert found.manifest.name == "tiny"
    assert set(found.manifest.files) == set(layout.DIGESTED_FILES)
    assert len(found.digest) == 64
    assert found.card.startswith("# tiny")
    assert found.calibrations.slice is not None
    assert len(found.check.scans) == 3


def test_an_honest_copy_loads_and_has_the_same_digest(bundle, tiny_detector):
    assert Detector.load(bundle, CPU).digest == tiny_detector.digest


@pytest.mark.parametrize("name", layout.DIGESTED_FILES)
def test_an_edited_file_is_refused(bundle, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(bytes(content))

    with pytest.raises(DigestMismatch, match=name):
        read_bundle(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused(bundle, name):
    (bundle / name).unlink()

    with pytest.raises(BundleNotFound, match=name):
        read_bundle(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_link_in_place_of_a_file_is_refused(bundle, name, tmp_path):
    (bundle / name).rename(tmp_path / name)
    (bundle / name).symlink_to(tmp_path / name)

    with pytest.raises(BundleNotFound):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (layout.WEIGHTS, WeightsMismatch),
        (layout.CALIBRATION, InvalidManifest),
        (layout.CHECK, InvalidManifest),
    ],
)
@pytest.mark.parametrize("content", [PICKLE, b"", b"\x80\x04\xff\xfe", b"[" * 100_000])
def test_another_kind_of_file_is_refused_though_its_digest_is_right(bundle, name, error, content):
    (bundle / name).write_bytes(content)
    sign_again(bundle)

    with pytest.raises(error):
        Detector.load(bundle, CPU)


@pytest.mark.parametrize("content", [PICKLE, b"", b"[]", b"\xff\xfe", b"[" * 100_000, b'"text"'])
def test_a_manifest_that_is_none_is_refused(bundle, content):
    (bundle / layout.MANIFEST).write_bytes(content)

    with pytest.raises(InvalidManifest):
        read_bundle(bundle)


@pytest.mark.parametrize("version", [0, 3, "1", "2", True, None, [1], {"a": 1}])
def test_another_format_version_is_refused(bundle, version):
    edit_json(bundle / layout.MANIFEST, lambda manifest: manifest.update(format_version=version))

    with pytest.raises(UnknownBundleVersion, match="expected 2"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda m: m.update(comment="hello"), "comment"),
        (lambda m: m["pipeline"]["normalize"].update(speed=9), "pipeline.normalize.speed"),
        (lambda m: m["domain"]["statistics"].update(limit=-1.0), "domain.statistics.limit"),
        (lambda m: m["pipeline"].pop("region"), "pipeline.region"),
        (lambda m: m["pipeline"]["network"].update(size_px=64), "pipeline"),
        (lambda m: m.update(pixel_threshold=0.0), "pixel_threshold"),
        (lambda m: m["files"].pop(layout.CARD), "must name"),
        (lambda m: m["files"].update({"../escape": "0" * 64}), "must name"),
        (lambda m: m.update(files={}), "must name"),
    ],
)
def test_a_manifest_with_unknown_missing_or_impossible_keys_is_refused(bundle, change, place):
    edit_json(bundle / layout.MANIFEST, change)

    with pytest.raises(InvalidManifest, match=place):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (layout.CALIBRATION, lambda c: c.update(extra=1)),
        (layout.CALIBRATION, lambda c: c["slice"]["scores"].reverse()),
        (layout.CALIBRATION, lambda c: c["slice"].update(scores=[0.0])),
        (layout.CHECK, lambda c: c.update(scans=[])),
        (layout.CHECK, set_scan(rows=100_000)),
        (layout.CHECK, set_scan(score="high")),
    ],
)
def test_signed_files_that_break_their_own_rules_are_refused(bundle, name, change):
    edit_json(bundle / name, change)
    sign_again(bundle)

    with pytest.raises(InvalidManifest, match=name):
        read_bundle(bundle)


def test_numbers_that_json_does_not_know_are_refused(bundle):
    calibration = json.loads((bundle / layout.CALIBRATION).read_text())
    calibration["slice"]["threshold"] = float("nan")
    (bundle / layout.CALIBRATION).write_text(json.dumps(calibration))
    sign_again(bundle)

    with pytest.raises(InvalidManifest):
        read_bundle(bundle)


@pytest.mark.parametrize(
    "edit",
    [
        set_weight(layout.NETWORK_PREFIX, lambda t: t[:1].clone()),
        set_weight(layout.NETWORK_PREFIX, lambda t: t[..., None].clone()),
        lambda w: w.pop(find_weight(w, layout.NETWORK_PREFIX)),
        lambda w: w.update({"network.more": torch.zeros(1)}),
        lambda w: w.update({"stranger": torch.zeros(1)}),
        lambda w: w.pop("scale.focal"),
        lambda w: w.update({"scale.third": torch.arange(9.0, dtype=torch.float64)}),
        set_weight(layout.SCALE_PREFIX, lambda t: t.float()),
        set_weight(layout.SCALE_PREFIX, lambda t: t.bfloat16()),
        set_weight(layout.SCALE_PREFIX, lambda t: t.flip(0).clone()),
        set_weight(layout.SCALE_PREFIX, lambda t: t[None].clone()),
        set_weight(layout.SCALE_PREFIX, lambda t: t.sum()),
        set_weight(layout.SCALE_PREFIX, lambda t: t[:0].clone()),
        set_weight(layout.SCALE_PREFIX, lambda t: t * float("nan")),
        set_weight(layout.PIXELS_MEAN_PREFIX, lambda t: t[..., :16].clone()),
        set_weight(layout.PIXELS_MEAN_PREFIX, lambda t: t * float("nan")),
        set_weight(layout.PIXELS_MEAN_PREFIX, lambda t: -1.0 - t),
        set_weight(layout.PIXELS_DEVIATION_PREFIX, lambda t: t.double()),
        lambda w: w.pop(find_weight(w, layout.PIXELS_DEVIATION_PREFIX)),
    ],
)
def test_signed_weights_that_do_not_fit_the_manifest_are_refused(bundle, edit):
    edit_weights(bundle, edit)
    sign_again(bundle)

    with pytest.raises(WeightsMismatch):
        Detector.load(bundle, CPU)


@pytest.mark.parametrize(
    "edit",
    [
        set_weight(layout.NETWORK_PREFIX, lambda t: t * float("nan")),
        lambda w: w.update({name: 2 * t for name, t in w.items() if name.startswith("network.")}),
        set_weight(layout.SCALE_PREFIX, lambda t: t + 0.5),
    ],
)
def test_signed_weights_that_score_otherwise_are_refused(bundle, edit):
    edit_weights(bundle, edit)
    sign_again(bundle)

    with pytest.raises(CheckFailed):
        Detector.load(bundle, CPU)


@pytest.mark.parametrize(
    "change",
    [
        set_scan(score=0.123),
        set_scan(verdict="anomalous"),
        set_scan(pixels="AAAA"),
        set_scan(pixels="no base64 at all!"),
        set_scan(rows=31),
        set_scan(modality="US"),
    ],
)
def test_a_signed_check_that_is_not_reproduced_is_refused(bundle, change):
    edit_json(bundle / layout.CHECK, change)
    sign_again(bundle)

    with pytest.raises(CheckFailed):
        Detector.load(bundle, CPU)


def test_a_signed_threshold_that_turns_a_verdict_is_refused(bundle):
    edit_json(bundle / layout.CALIBRATION, lambda c: c["slice"].update(threshold=-50.0))
    sign_again(bundle)

    with pytest.raises(CheckFailed):
        Detector.load(bundle, CPU)


@pytest.mark.parametrize("make", [lambda p: p, lambda p: p.write_text("x"), lambda p: p.mkdir()])
def test_a_place_without_a_bundle_is_refused(tmp_path, make):
    place = tmp_path / "place"
    make(place)

    with pytest.raises(BundleNotFound):
        read_bundle(place)


def test_no_message_of_a_refusal_shows_more_than_one_line(bundle):
    edit_json(bundle / layout.MANIFEST, lambda m: m["origin"].update(counts="x\ny"))

    with pytest.raises(BundleError) as refused:
        read_bundle(bundle)

    assert "\n" not in str(refused.value)


def test_a_bundle_of_the_first_format_goes_on_without_looks(bundle):
    edit_json(bundle / layout.MANIFEST, make_first_format)

    found = Detector.load(bundle, CPU)

    assert found.bundle.manifest.format_version == 2
    assert found.bundle.manifest.domain.appearance is None


def test_a_first_format_that_knows_looks_is_refused(bundle):
    edit_json(bundle / layout.MANIFEST, lambda manifest: manifest.update(format_version=1))

    with pytest.raises(InvalidManifest, match="format_version"):
        read_bundle(bundle)


def make_first_format(manifest):
    manifest["format_version"] = 1
    del manifest["domain"]["appearance"]
