"""What somebody searches the worklist for: kept with the session, so that no address holds it."""

from typing import Annotated

from fastapi import Depends, Request

from app.auth.access import Access, get_access
from app.auth.repository import AccessRepository
from app.auth.tokens import digest_token


class KeptSearch:
    """The last search of the session that asks; a tool's key has none."""

    def __init__(self, access: Access, token: str) -> None:
        self._access = access
        self._digest = digest_token(token) if token else ""

    @property
    def is_possible(self) -> bool:
        """Whether there is a session that keeps it."""
        return bool(self._digest)

    def find(self) -> str:
        """Give the text; empty for none."""
        with self._access.database.reading() as session:
            return AccessRepository(session).find_search(self._digest)

    def keep(self, text: str) -> None:
        """Keep a text in place of the one before."""
        with self._access.database.transaction() as session:
            AccessRepository(session).keep_search(self._digest, text)


def get_search(request: Request, access: Annotated[Access, Depends(get_access)]) -> KeptSearch:
    """Give the search of the browser that asks."""
    return KeptSearch(access, request.cookies.get(access.cookies.session_name, ""))


TheSearch = Annotated[KeptSearch, Depends(get_search)]
