"""The container files: linted, hardened, and in step with the service."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from app import main, serve
from app.settings import Settings
from tests.builders.containers import (
    COMPOSE_FILE,
    DOCKERFILE,
    ROOT,
    read_compose,
    read_instructions,
    read_last_stage,
)

COMPOSE = read_compose()
SERVICES = COMPOSE["services"]
LINTER = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")


@pytest.mark.skipif(LINTER is None, reason="hadolint has no wheel for this machine")
def test_the_dockerfile_passes_its_linter():
    ended = subprocess.run(
        [LINTER, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stdout) == (0, "")


def test_the_compose_file_keeps_to_the_specification():
    compose_spec = pytest.importorskip("compose_spec", reason="no wheel for this machine")

    parsed = compose_spec.PyCompose.from_yaml(yaml.safe_dump(COMPOSE))

    assert set(parsed.service_names()) == {"aegle", "aegle-gpu", "database", "store"}


def test_the_image_runs_without_root_and_starts_without_a_shell():
    stage = read_last_stage()

    assert stage["USER"] == "10001:10001"
    assert json.loads(stage["ENTRYPOINT"]) == ["aegle"]
    assert json.loads(stage["CMD"]) == ["serve"]
    assert stage["STOPSIGNAL"] == "SIGTERM"
    assert stage["HEALTHCHECK"].partition("CMD ")[2].startswith("[")


def test_the_builder_is_handed_what_the_dockerfile_copies_and_no_more():
    copied = {
        source
        for word, rest in read_instructions()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    lines = (ROOT / ".dockerignore").read_text().splitlines()

    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_hardened_and_bounded(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}
    assert service.get("healthcheck") or "build" in service


@pytest.mark.parametrize("name", ["database", "store"])
def test_images_of_others_have_a_version_and_publish_no_port(name):
    service = SERVICES[name]

    assert any(character.isdigit() for character in service["image"].partition(":")[2])
    assert "ports" not in service
    assert service["networks"] == ["back"]
    assert COMPOSE["networks"]["back"]["internal"] is True


def test_no_secret_stands_in_the_compose_file():
    lines = COMPOSE_FILE.read_text().splitlines()
    telling = [
        line.strip()
        for line in lines
        if any(word in line.partition(":")[0] for word in ("SECRET", "PASSWORD", "KEY"))
    ]

    assert telling
    assert [line for line in telling if "${" not in line and "/run/secrets" not in line] == [
        'GARAGE_ALLOW_WORLD_READABLE_SECRETS: "true"'
    ]


@pytest.mark.parametrize("name", ["aegle", "aegle-gpu"])
def test_containers_set_what_is_a_setting(name):
    known = {f"AEGLE_{field.upper()}" for field in Settings.model_fields}
    names = {key for key in SERVICES[name]["environment"] if key.startswith("AEGLE_")}
    baked = {word.partition("=")[0] for word in read_last_stage()["ENV"].split()}

    assert names - known == {"AEGLE_SECRETS_FOLDER"}
    assert {word for word in baked if word.startswith("AEGLE_")} <= known


@pytest.mark.parametrize("name", ["aegle", "aegle-gpu"])
def test_the_engine_waits_longer_than_the_service_takes_to_end(name):
    grace_s = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))

    assert grace_s >= serve.SHUTDOWN_S + main.SHUTDOWN_S


def test_one_profile_runs_on_a_gpu():
    devices = SERVICES["aegle-gpu"]["deploy"]["resources"]["reservations"]["devices"]

    assert SERVICES["aegle"]["profiles"] == ["cpu"]
    assert SERVICES["aegle-gpu"]["profiles"] == ["gpu"]
    assert devices[0]["capabilities"] == ["gpu"]
