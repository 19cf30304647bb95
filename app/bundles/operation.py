"""Bundles in use: the registry says which, the engine loads them, and this keeps both in step.

A bundle is loaded before the registry says that it is live, so that one that cannot be used is
never announced. Other processes on the same database follow within seconds.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Protocol

from app.bundles.folder import BundleFolder
from app.bundles.repository import BundleRepository
from app.bundles.service import NewBundle, move_bundle, register_bundle, roll_back
from app.bundles.states import BundleState
from app.bundles.tables import BundleRow
from app.clock import Clock
from app.errors import MoveNotAllowed, StorageError
from app.storage.database import Database
from models.bundle.manifest import Manifest
from models.errors import AegleError, BundleError

_LOG = logging.getLogger(__name__)

FIRST_START = "first-start"
_FOLLOW_S = 2.0


class BundleLoader(Protocol):
    """What loads and uses bundles: the engine."""

    @property
    def loaded(self) -> frozenset[str]:
        """Digests of the bundles on the device."""
        ...

    def load(self, folder: Path) -> str:
        """Load a bundle beside those in use, and give its digest."""
        ...

    def choose(self, live: str, candidate: str | None) -> None:
        """Use loaded bundles from the next batch on, and unload those used before."""
        ...

    def unload(self, digest: str) -> None:
        """Take a bundle off the device, unless it is in use."""
        ...

    def fail(self, reason: str) -> None:
        """Say that scans cannot be examined, and why."""
        ...


@dataclass(frozen=True, slots=True)
class BundleRules:
    """The bundle of the first start, and what else is to be done around the first load.

    `when_loading` is called before a bundle is loaded, `when_live` once scans can be examined.
    """

    first: Path | None
    when_loading: Callable[[], None]
    when_live: Callable[[], object]


class BundleOperator:
    """Adds, activates and follows bundles; owns a thread that follows the registry."""

    def __init__(
        self,
        database: Database,
        folder: BundleFolder,
        loader: BundleLoader,
        clock: Clock,
        rules: BundleRules,
    ) -> None:
        self.folder = folder
        self._database = database
        self._loader = loader
        self.clock = clock
        self._rules = rules
        self._chosen: tuple[str, str | None] | None = None
        self._turn = Lock()
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="bundles", daemon=True)

    def start(self) -> None:
        """Load what the registry says, then follow it."""
        self._thread.start()

    def stop(self) -> None:
        """Follow no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def add(self, archive: Path, by: str) -> BundleRow:
        """Verify the zip of a bundle, let it replay its check, and register it.

        Raises:
            BundleError: it may not be used; the leaf says why.
        """
        return self._install(self.folder.unpack(archive), by)

    def activate(self, digest: str, by: str) -> BundleRow:
        """Make a bundle live, once it is loaded.

        Raises:
            BundleNotRegistered: there is none with this digest.
            BundleError: it cannot be loaded; what was live stays so.
        """
        return self._move(digest, BundleState.LIVE, by)

    def shadow(self, digest: str, by: str) -> BundleRow:
        """Let a bundle score beside the live one."""
        return self._move(digest, BundleState.CANDIDATE, by)

    def retire(self, digest: str, by: str) -> BundleRow:
        """End the use of a candidate; the live bundle is only ever replaced.

        Raises:
            MoveNotAllowed: it is no candidate.
        """
        with self._database.transaction() as session:
            row = BundleRepository(session).get(digest)
            if row.state != BundleState.CANDIDATE:
                raise MoveNotAllowed("only a candidate is retired; a live bundle is replaced")
            row = move_bundle(session, digest, BundleState.RETIRED, by, self.clock.now())
        self.follow()
        return row

    def roll_back(self, by: str) -> BundleRow:
        """Make the bundle live again that was live before.

        Raises:
            MoveNotAllowed: no other bundle was ever live.
            BundleError: it cannot be loaded any more; what is live stays so.
        """
        with self._database.reading() as session:
            repository = BundleRepository(session)
            live = repository.find_in(BundleState.LIVE)
            before = repository.find_live_before(live.digest) if live else None
        if before is not None:
            self._load(before)
        with self._database.transaction() as session:
            row = roll_back(session, by, self.clock.now())
        self.follow()
        return row

    def follow(self) -> None:
        """Use what the registry says.

        Raises:
            BundleError: the live bundle cannot be loaded here.
        """
        with self._turn:
            with self._database.reading() as session:
                live = BundleRepository(session).find_in(BundleState.LIVE)
                candidate = BundleRepository(session).find_in(BundleState.CANDIDATE)
            if live is None:
                return
            self._load(live.digest)
            shadow = self._load_shadow(candidate.digest) if candidate else None
            before, self._chosen = self._chosen, (live.digest, shadow)
            if before != self._chosen:
                self._loader.choose(live.digest, shadow)
        if before is None:
            self._rules.when_live()

    def _run(self) -> None:
        while True:
            try:
                self._install_first()
                self.follow()
            except BundleError as error:
                self._chosen = None
                self._loader.fail(f"{error.code}: {error}")
                _LOG.error("the live bundle cannot be used", extra={"fields": {"code": error.code}})
            except StorageError as error:
                _LOG.warning("the bundle registry cannot be read", exc_info=error)
            if self._stopping.wait(_FOLLOW_S):
                return

    def _install_first(self) -> None:
        """Install the bundle of the settings while the registry names none that is live."""
        if self._rules.first is None:
            return
        with self._database.reading() as session:
            if BundleRepository(session).find_in(BundleState.LIVE) is not None:
                return
        row = self._install(self.folder.copy(self._rules.first), FIRST_START)
        self.activate(row.digest, FIRST_START)

    def _install(self, aside: Path, by: str) -> BundleRow:
        try:
            self._rules.when_loading()
            digest = self._loader.load(aside)
            self.folder.adopt(aside, digest)
        except AegleError:
            self.folder.discard(aside)
            raise
        new = describe_bundle(digest, self.folder.read_manifest(digest))
        with self._database.transaction() as session:
            row = register_bundle(session, new, by, self.clock.now())
        self._loader.unload(digest)
        return row

    def _move(self, digest: str, to: BundleState, by: str) -> BundleRow:
        with self._database.reading() as session:
            BundleRepository(session).get(digest)
        self._load(digest)
        with self._database.transaction() as session:
            row = move_bundle(session, digest, to, by, self.clock.now())
        self.follow()
        return row

    def _load(self, digest: str) -> None:
        if digest not in self._loader.loaded:
            self._rules.when_loading()
            self._loader.load(self.folder.find(digest))
            _LOG.info("bundle loaded", extra={"fields": {"bundle": digest}})

    def _load_shadow(self, digest: str) -> str | None:
        """Load the candidate; one that cannot be used concerns nobody else."""
        try:
            self._load(digest)
        except BundleError as error:
            _LOG.error("the candidate cannot be used", extra={"fields": {"code": error.code}})
            return None
        return digest


def describe_bundle(digest: str, manifest: Manifest) -> NewBundle:
    """Give what the registry keeps of a manifest."""
    summary: dict[str, Any] = {
        "created_at": manifest.created_at.isoformat(),
        "is_synthetic": manifest.is_synthetic,
        "network": manifest.pipeline.network.kind,
        "size_px": manifest.pipeline.network.size_px,
        "modalities": list(manifest.domain.modalities),
        "recipe": manifest.origin.recipe,
        "seed": manifest.origin.seed,
        "counts": dict(manifest.origin.counts),
    }
    return NewBundle(digest, manifest.name, summary)
