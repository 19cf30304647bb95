"""What a bundle says of itself, read once: its manifest and its calibrations."""

from dataclasses import dataclass
from threading import Lock

from app.bundles.folder import BundleFolder
from app.web.words import shorten_digest
from models.bundle import layout
from models.bundle.manifest import Calibrations, Manifest
from models.errors import BundleError


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """One verified bundle."""

    digest: str
    manifest: Manifest
    calibrations: Calibrations

    @property
    def title(self) -> str:
        """Name and version, as every page shows them."""
        return f"{self.manifest.name} {shorten_digest(self.digest)}"

    @property
    def domain(self) -> str:
        """What it was trained on, in a few words."""
        domain = self.manifest.domain
        parts = [", ".join(domain.modalities), ", ".join(domain.body_parts)]
        known = " ".join(part for part in parts if part) or "pictures that name no modality"
        sides = f"{domain.shortest_side_px} to {domain.longest_side_px} px"
        kind = "synthetic scans, " if self.manifest.is_synthetic else ""
        return f"{kind}{known}, {sides}"


class BundleLibrary:
    """The bundles on this machine; what was read of one never changes, so it is kept."""

    def __init__(self, folder: BundleFolder) -> None:
        self.folder = folder
        self._known: dict[str, BundleFacts] = {}
        self._lock = Lock()

    def find(self, digest: str | None) -> BundleFacts | None:
        """Give a bundle; None where it is not on this machine."""
        if digest is None:
            return None
        with self._lock:
            known = self._known.get(digest)
        return known or self._read(digest)

    def name(self, digest: str | None) -> str:
        """Give a bundle's name and version; the version alone where it is not on this machine."""
        facts = self.find(digest)
        return facts.title if facts else shorten_digest(digest)

    def _read(self, digest: str) -> BundleFacts | None:
        try:
            manifest = self.folder.read_manifest(digest)
            text = self.folder.read_text(digest, layout.CALIBRATION)
        except BundleError:
            return None
        facts = BundleFacts(digest, manifest, Calibrations.model_validate_json(text))
        with self._lock:
            self._known[digest] = facts
        return facts
