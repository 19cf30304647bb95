"""Routes of the bundles page: what each is, which is live, and what can be made of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse
from markdown_it import MarkdownIt
from markupsafe import Markup

from app.auth.access import CanManageBundles, CanReadBundles
from app.auth.permissions import Permission, Principal
from app.bundles.repository import BundleRepository
from app.bundles.routes import TheOperator
from app.bundles.states import BundleState
from app.bundles.tables import BundleMoveRow, BundleRow
from app.web.bundle_facts import BundleFacts
from app.web.pages import Pages, ThePages
from app.web.words import tell_age
from models.bundle import layout

router = APIRouter(prefix="/bundles", include_in_schema=False)

Digest = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]

# Cards come from outside: no raw HTML, no pictures, no links.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link"])
_LATEST_MOVES = 12


@dataclass(frozen=True, slots=True)
class BundleLine:
    """One bundle, and what may be done with it now."""

    digest: str
    name: str
    state: str
    age: str
    facts: BundleFacts | None
    promises: Sequence[tuple[str, str]]
    moves: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class MoveLine:
    """A change of what a bundle is used for."""

    bundle: str
    state: str
    age: str


@router.get("")
def show_bundles(caller: CanReadBundles, request: Request, pages: ThePages) -> HTMLResponse:
    """Show all bundles."""
    pages.note_page(caller, "bundles")
    may_manage = caller.may(Permission.MANAGE_BUNDLES)
    with pages.storage.database.reading() as session:
        rows = BundleRepository(session).list_all()
        moves = BundleRepository(session).list_moves()
    return pages.show(
        request,
        caller,
        "bundles.html.j2",
        "Bundles",
        lines=[_build_line(row, pages, caller) for row in rows],
        moves=[_build_move(row, pages) for row in reversed(moves[-_LATEST_MOVES:])],
        may_manage=may_manage,
        may_roll_back=may_manage and _has_live_before(moves),
    )


@router.get("/{digest}")
def show_bundle(
    caller: CanReadBundles, digest: Digest, request: Request, pages: ThePages, operator: TheOperator
) -> HTMLResponse:
    """Show a bundle: its card, and its evaluation report where somebody handed one in."""
    pages.note_page(caller, "bundle")
    with pages.storage.database.reading() as session:
        row = BundleRepository(session).get(digest)
        report = BundleRepository(session).find_report(digest)
    text = operator.folder.read_text(digest, layout.CARD)
    # Markup: what the Markdown renderer gives is HTML already, and it escapes what it is given.
    card = Markup(_MARKDOWN.render(text))  # noqa: S704 - raw HTML, links and pictures are switched off
    line = _build_line(row, pages, caller)
    return pages.show(
        request,
        caller,
        "bundle.html.j2",
        "Bundle",
        line=line,
        card=card,
        report=None if report is None else tell_age(report.added_at, pages.clock.now()),
        may_manage=caller.may(Permission.MANAGE_BUNDLES),
    )


@router.post("/rollback")
def roll_back(caller: CanManageBundles, operator: TheOperator) -> Response:
    """Make the bundle live again that was live before."""
    operator.roll_back(caller.id)
    return _renew()


@router.post("/{digest}/activate")
def activate(caller: CanManageBundles, digest: Digest, operator: TheOperator) -> Response:
    """Make a bundle live."""
    operator.activate(digest, caller.id)
    return _renew()


@router.post("/{digest}/candidate")
def shadow(caller: CanManageBundles, digest: Digest, operator: TheOperator) -> Response:
    """Let a bundle score beside the live one."""
    operator.shadow(digest, caller.id)
    return _renew()


@router.post("/{digest}/retire")
def retire(caller: CanManageBundles, digest: Digest, operator: TheOperator) -> Response:
    """End the scoring beside the live bundle."""
    operator.retire(digest, caller.id)
    return _renew()


def _build_line(row: BundleRow, pages: Pages, caller: Principal) -> BundleLine:
    facts = pages.bundles.find(row.digest)
    return BundleLine(
        digest=row.digest,
        name=row.name,
        state=row.state,
        age=tell_age(row.added_at, pages.clock.now()),
        facts=facts,
        promises=_list_promises(facts),
        moves=_list_moves(row.state) if caller.may(Permission.MANAGE_BUNDLES) else (),
    )


def _list_promises(facts: BundleFacts | None) -> list[tuple[str, str]]:
    if facts is None:
        return [("Files", "not on this machine")]
    kinds = (("Single slices", facts.calibrations.slice), ("Volumes", facts.calibrations.volume))
    return [
        (name, "not calibrated: indeterminate" if found is None else found.promise.statement)
        for name, found in kinds
    ]


def _list_moves(state: str) -> list[tuple[str, str]]:
    """Give the addresses and names of what can be done with a bundle."""
    if state == BundleState.LIVE:
        return []
    if state == BundleState.CANDIDATE:
        return [("activate", "Make live"), ("retire", "End as candidate")]
    return [("activate", "Make live"), ("candidate", "Try as candidate")]


def _build_move(row: BundleMoveRow, pages: Pages) -> MoveLine:
    return MoveLine(pages.bundles.name(row.digest), row.state, tell_age(row.at, pages.clock.now()))


def _has_live_before(moves: Sequence[BundleMoveRow]) -> bool:
    return len({row.digest for row in moves if row.state == BundleState.LIVE}) > 1


def _renew() -> Response:
    return Response(status_code=204, headers={"HX-Refresh": "true"})
