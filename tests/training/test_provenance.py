import platform

import torch

from training.provenance import Provenance, build_provenance, list_versions


def build() -> Provenance:
    return build_provenance(("default", "aa", "bb"), 3, torch.device("cpu"), {"fit": 12.345})


def test_versions_of_what_changes_numbers_are_recorded():
    versions = list_versions()

    assert versions["torch"] == torch.__version__
    assert {"numpy", "pydicom", "safetensors"} <= set(versions)


def test_a_run_is_described_by_what_it_takes_to_repeat_it():
    provenance = build()

    assert (provenance.seed, provenance.device) == (3, "cpu")
    assert provenance.threads == torch.get_num_threads()
    assert provenance.durations_s == {"fit": 12.3}
    assert provenance.python == platform.python_version()


def test_no_path_is_recorded():
    text = build().model_dump_json()

    assert "/" not in text
    assert "\\\\" not in text


def test_of_the_machine_only_its_kind_is_recorded():
    assert build().machine == f"{platform.system()} {platform.machine()}"
