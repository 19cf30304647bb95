import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch

from models.bundle import layout
from models.bundle.read import read_bundle
from models.bundle.write import BundleContent, digest_file, write_bundle
from models.errors import BundleError, CheckFailed


@pytest.fixture(scope="module")
def content(tiny_bundle):
    bundle = read_bundle(tiny_bundle)
    return BundleContent(
        bundle.manifest, bundle.calibrations, bundle.card, bundle.check, bundle.weights
    )


def test_what_is_written_is_what_is_read(content, tmp_path):
    digest = write_bundle(content, tmp_path / "deep" / "again", read_bundle)

    found = read_bundle(tmp_path / "deep" / "again")
    assert found.digest == digest == digest_file(tmp_path / "deep/again" / layout.MANIFEST)
    assert found.manifest == content.manifest
    assert found.calibrations == content.calibrations
    assert found.check == content.check
    assert found.card == content.card
    assert found.weights.keys() == content.weights.keys()
    assert all(torch.equal(t, content.weights[name]) for name, t in found.weights.items())


def test_a_published_bundle_is_never_written_over(content, tmp_path):
    write_bundle(content, tmp_path / "bundle", read_bundle)
    before = digest_file(tmp_path / "bundle" / layout.MANIFEST)

    with pytest.raises(BundleError, match="never written over"):
        write_bundle(content, tmp_path / "bundle", read_bundle)

    assert digest_file(tmp_path / "bundle" / layout.MANIFEST) == before


def test_a_bundle_that_fails_its_trial_never_appears(content, tmp_path):
    def refuse(folder):
        assert (folder / layout.MANIFEST).is_file()
        raise CheckFailed

    with pytest.raises(CheckFailed):
        write_bundle(content, tmp_path / "bundle", refuse)

    assert list(tmp_path.iterdir()) == []


def test_a_dangling_link_in_the_place_of_a_bundle_is_not_followed(content, tmp_path):
    (tmp_path / "bundle").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BundleError):
        write_bundle(content, tmp_path / "bundle", read_bundle)


KILLED_WRITER = """
    import os, signal, sys
    from pathlib import Path
    from models.bundle import write
    from models.bundle.read import read_bundle

    bundle = read_bundle(Path(sys.argv[1]))
    content = write.BundleContent(
        bundle.manifest, bundle.calibrations, bundle.card, bundle.check, bundle.weights
    )
    left = int(sys.argv[3])
    flush = write._flush

    def flush_or_die(path):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(path)

    write._flush = flush_or_die
    write.write_bundle(content, Path(sys.argv[2]), read_bundle)
"""


@pytest.mark.parametrize("flushed_files", [0, 5])
def test_a_kill_in_the_middle_leaves_no_bundle_and_does_not_block_the_next(
    content, tiny_bundle, tmp_path, flushed_files
):
    target = tmp_path / "out" / "bundle"
    command = [sys.executable, "-c", textwrap.dedent(KILLED_WRITER), tiny_bundle, target]

    ended = subprocess.run(
        [*command, str(flushed_files)], check=False, env={**os.environ, "PYTHONPATH": "."}
    )

    assert ended.returncode == -signal.SIGKILL
    assert not target.exists()
    with pytest.raises(BundleError):
        read_bundle(target)
    write_bundle(content, target, read_bundle)
    assert read_bundle(target).card == content.card
