"""Prepared views to HTML: the template environment, and the built files that it names."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.errors import PagesNotBuilt, RouteNotFound
from app.web import words

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
TEMPLATES = _HERE / "templates"
ASSETS = "assets.json"


@dataclass(frozen=True, slots=True)
class Assets:
    """The built files by their plain name; empty where nobody built them."""

    folder: Path
    names: Mapping[str, str]

    @property
    def is_built(self) -> bool:
        """Whether the pages can be shown."""
        return bool(self.names)

    def link(self, name: str) -> str:
        """Give the address of a built file; its name holds a digest of its content."""
        return f"/static/{self.names[name]}"

    def find(self, built_name: str) -> Path:
        """Give a built file.

        Raises:
            RouteNotFound: it is not one that was built.
        """
        if built_name not in self.names.values():
            raise RouteNotFound
        return self.folder / built_name


def read_assets(folder: Path = STATIC) -> Assets:
    """Read which files were built; none is an answer too."""
    try:
        names = json.loads((folder / ASSETS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = {}
    return Assets(folder, names)


class Drawing:
    """Draws templates; everything put into one is escaped."""

    def __init__(self, assets: Assets) -> None:
        self.assets = assets
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["assets"] = assets
        self._environment.filters.update(words.FILTERS)

    def check(self) -> None:
        """Let pages be shown.

        Raises:
            PagesNotBuilt: scripts and styles are missing.
        """
        if not self.assets.is_built:
            raise PagesNotBuilt

    def draw(self, template: str, **view: object) -> str:
        """Draw a template with its prepared view."""
        return self._environment.get_template(template).render(**view)
