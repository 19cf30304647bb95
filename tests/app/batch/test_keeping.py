from app.batch.keeping import choose_cases, keep_chunk
from app.batch.orders import ScoredCase
from app.batch.repository import JobRepository
from app.batch.states import JobState
from app.batch.tables import FailureRow, FlipRow
from app.bundles.service import move_bundle
from app.bundles.states import BundleState
from app.cases.service import delete_case, move_case, quarantine_case
from app.cases.states import CaseState
from tests.builders.cases import BUNDLE, OTHER_BUNDLE, build_case
from tests.builders.rescoring import (
    ADMIN,
    OTHER,
    build_scored,
    count_settled,
    find_case,
    keep,
    list_findings,
    list_notes,
    order_job,
    plan_now,
    say,
    settle,
    take,
)


def test_findings_under_another_bundle_stand_in_the_history_and_are_not_shown(storage, clock, find):
    with storage.database.transaction() as session:
        case = build_scored(session, 5, clock)[2]
    job = plan_now(storage, order_job(), clock)

    settle(storage, job, clock)

    shown, findings = find_case(storage, case), list_findings(storage, case)
    assert (find(job.id).state, count_settled(find(job.id))) == (JobState.DONE, (5, 0, 0, 5))
    assert [row.bundle_digest for row in findings] == [BUNDLE, OTHER_BUNDLE]
    assert findings[1].job_id == job.id
    assert (shown.verdict, shown.bundle_digest) == ("anomalous", BUNDLE)


def test_flips_tell_both_verdicts_and_both_scores(storage, plan, clock):
    job = plan(2)

    settle(storage, job, clock, say("typical", score=0.5, p_value=0.4))

    flip = list_notes(storage, FlipRow, job)[0]
    before = (flip.before_bundle, flip.before_verdict, flip.before_score, flip.before_p_value)
    after = (flip.after_bundle, flip.after_verdict, flip.after_score, flip.after_p_value)
    assert before == (BUNDLE, "anomalous", 4.2, 0.01)
    assert after == (OTHER_BUNDLE, "typical", 0.5, 0.4)


def test_a_verdict_that_stays_is_no_flip(storage, plan, clock, find):
    job = plan(3)

    settle(storage, job, clock, say("anomalous", score=9.0))

    assert count_settled(find(job.id)) == (3, 0, 0, 0)


def test_a_dry_run_tells_flips_and_changes_nothing(storage, clock, find):
    with storage.database.transaction() as session:
        case = build_scored(session, 3, clock)[0]
    job = plan_now(storage, order_job(is_dry_run=True), clock)

    settle(storage, job, clock)

    after = find_case(storage, case)
    assert count_settled(find(job.id)) == (3, 0, 0, 3)
    assert len(list_findings(storage, case)) == 1
    assert (after.verdict, after.changed_at) == (case.verdict, case.changed_at)


def test_findings_under_the_live_bundle_are_shown(storage, clock):
    with storage.database.transaction() as session:
        case = build_scored(session, 1, clock)[0]
        move_bundle(session, OTHER_BUNDLE, BundleState.LIVE, ADMIN, clock.now())
    job = plan_now(storage, order_job(), clock)

    settle(storage, job, clock)

    after = find_case(storage, case)
    assert (after.verdict, after.bundle_digest) == ("typical", OTHER_BUNDLE)
    assert list_findings(storage, case)[1].supersedes_id == list_findings(storage, case)[0].id


def test_what_the_bundle_said_before_is_not_scored_again_and_its_flip_is_told(
    storage, plan, clock, find
):
    settle(storage, plan(4), clock)
    again = plan()

    settle(storage, again, clock, say("indeterminate"))

    flips = list_notes(storage, FlipRow, again)
    assert count_settled(find(again.id)) == (0, 0, 4, 4)
    assert {row.after_verdict for row in flips} == {"typical"}


def test_a_finding_kept_beside_is_shown_by_a_job_once_its_bundle_is_live(storage, clock):
    with storage.database.transaction() as session:
        case = build_scored(session, 1, clock)[0]
    first = plan_now(storage, order_job(), clock)
    settle(storage, first, clock)
    with storage.database.transaction() as session:
        move_bundle(session, OTHER_BUNDLE, BundleState.LIVE, ADMIN, clock.now())
    second = plan_now(storage, order_job(), clock)

    settle(storage, second, clock)

    assert find_case(storage, case).bundle_digest == OTHER_BUNDLE
    assert len(list_findings(storage, case)) == 2


def test_a_case_that_cannot_be_scored_fails_with_its_reason_and_the_job_goes_on(
    storage, plan, clock, find
):
    job = plan(3)
    held = take(storage, job, clock)
    broken = held.case_ids[1]

    def answer(case_id, digest):
        if case_id == broken:
            return ScoredCase(case_id, None, failure_code="corrupt_scan")
        return say("typical")(case_id, digest)

    keep(storage, held, clock, answer)

    failures = [(row.case_id, row.code) for row in list_notes(storage, FailureRow, job)]
    assert count_settled(find(job.id)) == (2, 1, 0, 2)
    assert failures == [(broken, "corrupt_scan")]


def test_a_case_that_is_deleted_meanwhile_is_skipped(storage, plan, clock, find):
    job = plan(3)
    held = take(storage, job, clock)
    scored = [say("typical")(case_id, OTHER_BUNDLE) for case_id in held.case_ids]
    with storage.database.transaction() as session:
        delete_case(session, held.case_ids[0], ADMIN, clock.now())

    with storage.database.transaction() as session:
        keep_chunk(session, storage.blobs, held, scored, clock.now())

    assert count_settled(find(job.id)) == (2, 0, 1, 2)


def test_what_ended_a_process_before_is_not_tried_again(storage, clock, find):
    with storage.database.transaction() as session:
        case = build_case(session, clock.now())
        quarantine_case(session, case.id, "poison_scan", clock.now())
    job = plan_now(storage, order_job(), clock)

    settle(storage, job, clock)

    assert count_settled(find(job.id)) == (0, 1, 0, 0)
    assert list_notes(storage, FailureRow, job)[0].code == "poison_scan"


def test_a_quarantined_case_that_can_be_scored_after_all_comes_back(storage, clock, find):
    with storage.database.transaction() as session:
        case = build_case(session, clock.now())
        quarantine_case(session, case.id, "corrupt_scan", clock.now())
    job = plan_now(storage, order_job(BUNDLE), clock)

    settle(storage, job, clock)

    after = find_case(storage, case)
    assert count_settled(find(job.id)) == (1, 0, 0, 0)
    assert (after.state, after.verdict, after.failure_code) == ("scored", "typical", None)


def test_a_case_whose_slices_still_come_is_skipped(storage, clock, find):
    with storage.database.transaction() as session:
        case = build_scored(session, 1, clock)[0]
        move_case(case, CaseState.RECEIVING, clock.now())
    job = plan_now(storage, order_job(), clock)

    settle(storage, job, clock)

    assert count_settled(find(job.id)) == (0, 0, 1, 0)


def test_a_case_that_has_grown_is_scored_again(storage, clock, find):
    with storage.database.transaction() as session:
        case = build_scored(session, 1, clock)[0]
        case.edition += 1
        session.flush()
    job = plan_now(storage, order_job(BUNDLE), clock)

    settle(storage, job, clock)

    assert find(job.id).done_count == 1
    assert [row.edition for row in list_findings(storage, case)] == [0, 1]


def test_results_under_a_lost_lease_change_nothing(storage, plan, clock, find):
    job = plan(4)
    lost = take(storage, job, clock)
    clock.move(31)
    taken = take(storage, job, clock, OTHER)

    is_kept = keep(storage, lost, clock, say("indeterminate"))
    before = count_settled(find(job.id))
    is_taken_kept = keep(storage, taken, clock, say("typical"))

    assert (is_kept, is_taken_kept) == (False, True)
    assert (before, count_settled(find(job.id))) == ((0, 0, 0, 0), (4, 0, 0, 4))


def test_results_that_come_twice_are_counted_once(storage, plan, clock, find):
    job = plan(4)
    held = take(storage, job, clock)

    kept = [keep(storage, held, clock, say("typical")) for _ in range(2)]

    assert kept == [True, False]
    assert count_settled(find(job.id)) == (4, 0, 0, 4)


def gather_news(storage, clock, job, answer):
    """Settle a job, and give the verdicts that were told."""
    told = []

    def announce(_session, case, row):
        told.append((case.id, row.verdict, row.job_id))

    while (held := take(storage, job, clock)) is not None:
        with storage.database.transaction() as session:
            chosen = choose_cases(session, held)
            scored = [answer(case_id, held.bundle_digest) for case_id in chosen]
            keep_chunk(session, storage.blobs, held, scored, clock.now(), [announce])
    return told


def make_live(storage, clock, bundle):
    with storage.database.transaction() as session:
        move_bundle(session, bundle, BundleState.LIVE, ADMIN, clock.now())


def test_verdicts_that_a_job_changes_in_what_cases_show_are_told(storage, plan, clock):
    job = plan(3)
    make_live(storage, clock, OTHER_BUNDLE)

    told = gather_news(storage, clock, job, say("typical"))

    assert len({case_id for case_id, _, _ in told}) == 3
    assert {(verdict, job_id) for _, verdict, job_id in told} == {("typical", job.id)}


def test_a_verdict_that_stays_is_no_news(storage, plan, clock):
    job = plan(3)
    make_live(storage, clock, OTHER_BUNDLE)

    assert gather_news(storage, clock, job, say("anomalous")) == []


def test_nothing_is_told_of_a_dry_run_nor_of_a_bundle_that_is_not_live(storage, plan, clock):
    beside = gather_news(storage, clock, plan(2), say("typical"))
    make_live(storage, clock, OTHER_BUNDLE)
    dry = gather_news(storage, clock, plan(2, is_dry_run=True), say("indeterminate"))

    assert (beside, dry) == ([], [])


def test_a_finding_that_was_kept_beside_is_told_once_a_job_shows_it(storage, plan, clock):
    gather_news(storage, clock, plan(2), say("typical"))
    make_live(storage, clock, OTHER_BUNDLE)

    told = gather_news(storage, clock, plan(), say("anomalous"))

    assert [verdict for _, verdict, _ in told] == ["typical", "typical"]


def test_what_is_left_of_jobs_is_counted_without_dry_runs(storage, plan, clock):
    job = plan(6)
    plan(1, is_dry_run=True)

    before = count_left(storage)
    keep(storage, take(storage, job, clock), clock, say("typical"))

    assert (before, count_left(storage)) == ((1, 6), (1, 2))


def count_left(storage):
    with storage.database.reading() as session:
        return JobRepository(session).count_left()
