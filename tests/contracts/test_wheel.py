"""The wheel holds everything that runs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "models", "training")
NOT_SHIPPED = {".md", ".pyc"}


def list_needed():
    """List what lies in the packages, without what only people and builders read."""
    return {
        path.relative_to(ROOT).as_posix()
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file()
        and path.suffix not in NOT_SHIPPED
        and not path.is_relative_to(ROOT / "app" / "web" / "client")
        and path.name != "settings.example.toml"
    }


@pytest.mark.slow
def test_the_wheel_holds_all_code_recipes_templates_migrations_and_pages(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in (*PACKAGES, "pyproject.toml", "README.md"):
        (source / name).symlink_to(ROOT / name)

    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", tmp_path, source],
        check=True, capture_output=True, timeout=200,
    )  # fmt: skip

    with zipfile.ZipFile(next(tmp_path.glob("aegle-*.whl"))) as wheel:
        shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    needed = list_needed()
    assert sorted(needed - shipped) == []
    assert sorted(shipped - needed) == []
