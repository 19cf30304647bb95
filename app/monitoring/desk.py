"""Where monitoring is asked for: by routes each time, for Prometheus once in a while."""

from threading import Lock

from pydantic import ValidationError

from app.bundles.folder import BundleFolder
from app.bundles.repository import BundleRepository
from app.bundles.states import BundleState
from app.clock import Clock
from app.monitoring.repository import MonitoringFilter
from app.monitoring.schemas import MonitoringView
from app.monitoring.service import observe
from app.storage.database import Database
from models.bundle import layout
from models.bundle.manifest import Calibrations
from models.errors import BundleError

_GLANCE_EVERY_S = 300.0


class MonitoringDesk:
    """Reads the registry, the calibration of a bundle and its cases."""

    def __init__(self, database: Database, folder: BundleFolder, clock: Clock) -> None:
        self._database = database
        self._folder = folder
        self._clock = clock
        self._glance: MonitoringView | None = None
        self._glanced_at_s: float | None = None
        self._turn = Lock()

    def observe(self, wanted: MonitoringFilter, bundle: str | None) -> MonitoringView:
        """Tell what a bundle did, the live one where none is named.

        Raises:
            BundleNotRegistered: there is none with this digest.
        """
        with self._database.reading() as session:
            repository = BundleRepository(session)
            row = repository.get(bundle) if bundle else repository.find_in(BundleState.LIVE)
            digest = row.digest if row else None
            return observe(session, wanted, digest, self._find_calibrations(digest))

    def glance(self) -> MonitoringView:
        """Tell what the live bundle did, as it was known some minutes ago at most."""
        with self._turn:
            now_s = self._clock.elapsed_s()
            is_old = self._glanced_at_s is None or now_s - self._glanced_at_s >= _GLANCE_EVERY_S
            if self._glance is None or is_old:
                self._glance = self.observe(MonitoringFilter(), None)
                self._glanced_at_s = now_s
            return self._glance

    def _find_calibrations(self, digest: str | None) -> Calibrations | None:
        if digest is None:
            return None
        try:
            text = self._folder.read_text(digest, layout.CALIBRATION)
            return Calibrations.model_validate_json(text)
        except (BundleError, ValidationError):
            return None  # not on this machine: counts are told all the same
