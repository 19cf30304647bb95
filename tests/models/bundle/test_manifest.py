import pytest
from hypothesis import given, settings

from models.bundle.manifest import Calibrations, Manifest
from models.bundle.read import read_bundle
from tests.strategies import calibrations, domains, normalize_specs


@settings(max_examples=40, deadline=None)
@given(domain=domains(), normalize=normalize_specs)
def test_a_manifest_survives_a_round_trip(tiny_bundle, domain, normalize):
    published = read_bundle(tiny_bundle).manifest
    normalize = normalize.model_copy(update={"size_px": published.pipeline.network.size_px})
    pipeline = published.pipeline.model_copy(update={"normalize": normalize})
    manifest = published.model_copy(update={"domain": domain, "pipeline": pipeline})

    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


@given(single=calibrations())
def test_slices_and_volumes_have_their_own_calibration(single):
    known = Calibrations(slice=single, volume=None)

    assert known.choose(1) is single
    assert known.choose(2) is None


def test_every_folder_of_folds_is_counted(tiny_bundle):
    counts = read_bundle(tiny_bundle).manifest.origin.counts

    assert sum(counts.values()) == 40


@pytest.mark.parametrize("key", ["torch", "python", "numpy"])
def test_the_versions_that_made_a_bundle_are_recorded(tiny_bundle, key):
    assert read_bundle(tiny_bundle).manifest.origin.versions[key]
