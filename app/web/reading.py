"""Who reads a page, when, and in which list of cases."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.auth.permissions import Principal
from app.web.bundle_facts import BundleLibrary


@dataclass(frozen=True, slots=True)
class Reader:
    """What a view is prepared for; `filters` are those of the list that the reader came from."""

    caller: Principal
    filters: Mapping[str, str]
    library: BundleLibrary
    now: datetime
