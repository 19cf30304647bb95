"""What the container files say, read as their tools read them."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
COMPOSE_FILE = ROOT / "docker-compose.yml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
_CHOSEN = {
    "S3_ACCESS_KEY": "GK" + "0" * 24,
    "S3_SECRET_KEY": "0" * 64,
    "BUNDLE_FOLDER": "./var/demo/bundle",
}


def read_instructions() -> list[tuple[str, str]]:
    """Give the instructions of the Dockerfile: word and the rest, lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line.strip()]


def read_last_stage() -> dict[str, str]:
    """Give the last instruction of each kind in the stage that is shipped."""
    instructions = read_instructions()
    start = max(i for i, (word, _) in enumerate(instructions) if word == "FROM")
    return dict(instructions[start:])


def read_health_check() -> list[str]:
    """Give the words of the health check of the image."""
    words: list[str] = json.loads(read_last_stage()["HEALTHCHECK"].partition("CMD ")[2])
    return words


def read_compose() -> dict[str, Any]:
    """Give the compose file with its variables filled in."""
    found: dict[str, Any] = _fill_all(yaml.safe_load(COMPOSE_FILE.read_text()))
    return found


def _fill_all(part: Any) -> Any:
    """Fill variables in after the file is parsed, as compose does."""
    if isinstance(part, dict):
        return {name: _fill_all(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_fill_all(value) for value in part]
    return _VARIABLE.sub(_fill, part) if isinstance(part, str) else part


def _fill(match: re.Match[str]) -> str:
    name, kind, default = match.groups()
    return _CHOSEN[name] if kind == "?" else default
