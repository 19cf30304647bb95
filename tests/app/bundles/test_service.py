import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from app.audit.tables import AuditEntryRow
from app.bundles.folder import BundleFolder
from app.bundles.repository import BundleRepository
from app.bundles.service import NewBundle, move_bundle, register_bundle, roll_back
from app.bundles.states import BundleState
from app.errors import BundleNotRegistered, MoveNotAllowed
from tests.builders.bundles import copy_bundle, edit_json

A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def session(database, clock):
    with database.transaction() as session:
        for digest in (A, B, C):
            register_bundle(session, NewBundle(digest, "brain", {}), "user:1", clock.now())
        yield session


def _states(session):
    return {row.digest[0]: str(row.state) for row in BundleRepository(session).list_all()}


def _move(session, clock, digest, state):
    clock.move(1)
    move_bundle(session, digest, state, "user:1", clock.now())


def test_a_bundle_that_becomes_live_retires_the_one_before(session, clock):
    _move(session, clock, A, BundleState.LIVE)
    _move(session, clock, B, BundleState.CANDIDATE)
    _move(session, clock, B, BundleState.LIVE)

    assert _states(session) == {"a": "retired", "b": "live", "c": "added"}


def test_there_is_one_candidate_beside_the_live_one(session, clock):
    _move(session, clock, A, BundleState.LIVE)
    _move(session, clock, B, BundleState.CANDIDATE)
    _move(session, clock, C, BundleState.CANDIDATE)

    assert _states(session) == {"a": "live", "b": "retired", "c": "candidate"}


def test_rolling_back_and_again_goes_there_and_back(session, clock):
    _move(session, clock, A, BundleState.LIVE)
    _move(session, clock, B, BundleState.LIVE)

    clock.move(1)
    first = roll_back(session, "user:1", clock.now()).digest
    clock.move(1)
    second = roll_back(session, "user:1", clock.now()).digest

    assert (first, second) == (A, B)
    assert _states(session)["b"] == "live"


def test_without_a_bundle_before_there_is_no_way_back(session, clock):
    _move(session, clock, A, BundleState.LIVE)

    with pytest.raises(MoveNotAllowed):
        roll_back(session, "user:1", clock.now())


@pytest.mark.parametrize("state", [BundleState.RETIRED, BundleState.ADDED])
def test_a_new_bundle_does_not_move_backwards(session, clock, state):
    _move(session, clock, A, BundleState.LIVE)

    with pytest.raises(MoveNotAllowed):
        move_bundle(session, B if state is BundleState.RETIRED else A, state, "u", clock.now())


def test_a_bundle_registered_twice_stays_what_it_is(session, clock):
    _move(session, clock, A, BundleState.LIVE)

    register_bundle(session, NewBundle(A, "other", {}), "user:2", clock.now())

    assert BundleRepository(session).get(A).name == "brain"
    assert _states(session)["a"] == "live"


def test_a_move_to_the_present_state_changes_nothing(session, clock):
    _move(session, clock, A, BundleState.LIVE)
    _move(session, clock, A, BundleState.LIVE)

    assert len(BundleRepository(session).list_moves()) == 1


def test_an_unknown_bundle_is_not_found(session, clock):
    with pytest.raises(BundleNotRegistered):
        move_bundle(session, "f" * 64, BundleState.LIVE, "user:1", clock.now())


def test_every_change_is_audited(session, clock):
    _move(session, clock, A, BundleState.LIVE)

    last = session.scalars(select(AuditEntryRow)).all()[-1]
    assert (last.action, last.subject, last.detail) == (
        "bundle_moved",
        f"bundle:{A}",
        {"state": "live"},
    )


def test_the_database_itself_refuses_two_live_bundles(database, clock):
    with database.transaction() as session:
        for digest in (A, B):
            register_bundle(session, NewBundle(digest, "brain", {}), "user:1", clock.now())

    with pytest.raises(IntegrityError), database.transaction() as session:
        session.execute(text("UPDATE bundles SET state = 'live'"))


def test_a_bundle_of_the_first_format_that_lies_in_the_folder_is_still_read(tiny_bundle, tmp_path):
    folder = BundleFolder(tmp_path / "bundles", 2**20)
    old = copy_bundle(tiny_bundle, tmp_path / "bundles" / ("1" * 64))

    def make_old(manifest):
        manifest["format_version"] = 1
        del manifest["domain"]["appearance"]

    edit_json(old / "manifest.json", make_old)

    assert folder.read_manifest("1" * 64).domain.appearance is None
