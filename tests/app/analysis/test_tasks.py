"""Two scoring lines on one database, as two processes have them."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from app.analysis.findings import StoredCase
from app.analysis.keeper import Outcome
from app.analysis.scan_queue import Examination
from app.analysis.tasks import LineLimits, ScoringLine
from app.cases.repository import CaseRepository
from app.cases.states import CaseState
from app.storage.opening import Storage
from app.storage.watermark import Watermark
from models.decoding.decode import decode_scan
from models.decoding.limits import DecodeLimits
from models.detector import Detector
from tests.builders.cases import build_case
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture

LIFE_S = 8.0


@pytest.fixture
def storage(database, blobs):
    return Storage(database, blobs, Watermark((), 0))


@pytest.fixture
def open_line(storage, clock):
    """Give a function that opens a line of a process; nothing of it runs."""
    engine = SimpleNamespace(is_ready=True, candidate=None)
    limits = LineLimits(max_cases=8, max_attempts=3, lease=timedelta(seconds=LIFE_S))

    def open_one():
        line = ScoringLine(storage, engine, None, clock, limits)
        line.pulse.beat()
        return line

    return open_one


def queue_cases(storage, clock, count):
    with storage.database.transaction() as session:
        return {build_case(session, clock.now(), b"%d" % n).id for n in range(count)}


def test_two_processes_share_what_waits_and_none_takes_the_others_case(storage, open_line, clock):
    cases = queue_cases(storage, clock, 6)
    first, second = open_line(), open_line()

    counts = [line.pick_up() for line in (first, second, first, second)]

    assert counts == [4, 2, 0, 0]
    assert first._watched.keys() | second._watched.keys() == cases
    assert not first._watched.keys() & second._watched.keys()


def test_cases_of_a_process_that_died_are_picked_up_once_its_lease_ran_out(
    storage, open_line, clock
):
    cases = queue_cases(storage, clock, 3)
    dead, other = open_line(), open_line()
    dead.pick_up()

    before = other.pick_up()
    clock.move(LIFE_S + 1)
    after = other.pick_up()

    assert (before, after) == (0, 3)
    assert other._watched.keys() == cases


@pytest.fixture
def examine(tiny_detector: Detector):
    """Give a function that examines one scan under the tiny bundle."""
    picture = encode_picture(draw_scan(81_000, has_lesion=True), "png")

    def examine_one():
        scan = decode_scan(picture, DecodeLimits())
        return Examination(tiny_detector.digest, tiny_detector.examine([scan])[0], 0.1)

    return examine_one


def test_a_process_that_was_taken_for_dead_keeps_nothing_of_what_another_claimed(
    storage, open_line, clock, examine
):
    (case,) = queue_cases(storage, clock, 1)
    late, other = open_line(), open_line()
    told = []
    for line in (late, other):
        line.keeper.announcers.append(lambda *each: told.append(each))
    late.pick_up()
    clock.move(LIFE_S + 1)
    other.pick_up()
    outcome = Outcome(StoredCase(case), examine(), None, is_shown=True)

    with storage.database.transaction() as session:
        packed = late.keeper._pack(outcome)
        late.keeper._keep_one(session, outcome, packed)
        state_then = CaseRepository(session).get_case(case).state
        other.keeper._keep_one(session, outcome, packed)
        other.keeper._keep_one(session, outcome, packed)

    with storage.database.reading() as session:
        state = CaseRepository(session).get_case(case).state
    assert (state_then, state) == (CaseState.QUEUED, CaseState.SCORED)
    assert len(told) == 1
