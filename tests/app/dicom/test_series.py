"""Series that become cases: when they are quiet or told complete, and again when more comes."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from app.auth.permissions import Principal
from app.cases.orders import NewFinding
from app.cases.repository import CaseRepository
from app.cases.service import delete_case, keep_finding
from app.cases.states import CaseState, Channel
from app.cases.worklist import CaseFilter
from app.dicom.indexing import Delivery
from app.dicom.readers import HeaderReaders
from app.dicom.receiving import Receiver
from app.dicom.repository import DicomRepository
from app.dicom.series import settle_due_series
from app.storage.opening import Storage
from app.storage.watermark import Watermark
from models.decoding.limits import DecodeLimits
from tests.builders.stow import build_object, make_uid

QUIET_S = 60.0
SENDER = Principal("key:1", "CT 1", frozenset())
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
PRESENTATION_STATE = "1.2.840.10008.5.1.4.1.1.11.1"
REPORT = "1.2.840.10008.5.1.4.1.1.88.34"
PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"


@pytest.fixture(scope="module")
def readers():
    readers = HeaderReaders(DecodeLimits(), 1)
    yield readers
    readers.close()


@dataclass
class Ward:
    """A receiver, its clock, and one series that comes in."""

    receiver: Receiver
    clock: object
    study: str
    series: str

    def send(self, *positions, study=None, **attributes):
        facts = {"SeriesInstanceUID": self.series} | attributes
        for position in positions:
            content = build_object(study or self.study, self.series, position, **facts)
            with self.receiver.draft() as draft:
                draft.write(content)
                receipt = self.receiver.receive(draft, Delivery(SENDER, Channel.DIMSE))
            assert receipt.is_kept, receipt.failure

    def settle(self, after_s=QUIET_S + 1):
        self.clock.move(after_s)
        with self.receiver.storage.database.transaction() as session:
            return settle_due_series(session, self.clock.now())

    def list_cases(self):
        with self.receiver.storage.database.reading() as session:
            repository = CaseRepository(session)
            ids = repository.list_case_ids(CaseFilter(), None, 100)
            return [repository.get_case(case_id) for case_id in ids]

    def list_files(self, case):
        with self.receiver.storage.database.reading() as session:
            return CaseRepository(session).list_instances(case.id)

    def score(self, case, *, edition=None, score=1.0):
        new = NewFinding("d" * 64, "typical", score, 0.5, 2.0, "", None, None, edition=edition)
        with self.receiver.storage.database.transaction() as session:
            return keep_finding(session, case.id, new, self.clock.now(), is_shown=True)


@pytest.fixture
def ward(database, blobs, clock, readers):
    storage = Storage(database, blobs, Watermark((), 0))
    return Ward(Receiver(storage, readers, clock, QUIET_S), clock, make_uid(), make_uid())


def test_a_series_is_receiving_until_it_was_quiet_and_is_one_case_then(ward):
    ward.send(0.0, 2.0)
    early = ward.settle(after_s=QUIET_S / 2)
    before = ward.list_cases()

    settled = ward.settle()

    (case,) = ward.list_cases()
    assert (early, settled) == (0, 1)
    assert [found.state for found in before] == [CaseState.RECEIVING]
    assert case.state == CaseState.QUEUED
    assert (case.modality, case.patient_id, case.series_uid) == ("CT", "P-1", ward.series)
    assert len(ward.list_files(case)) == 2


def test_each_further_slice_makes_the_series_wait_anew(ward):
    ward.send(0.0)
    ward.clock.move(QUIET_S - 1)
    ward.send(2.0)

    settled = ward.settle(after_s=QUIET_S / 2)

    assert settled == 0


def test_a_study_that_is_told_complete_waits_no_longer(ward):
    ward.send(0.0)
    ward.send(0.0, SeriesInstanceUID=make_uid())
    with ward.receiver.storage.database.transaction() as session:
        count = DicomRepository(session).complete_study(ward.study, ward.clock.now())

    settled = ward.settle(after_s=0)

    assert count == settled == 2
    assert [case.state for case in ward.list_cases()] == [CaseState.QUEUED] * 2


def test_files_of_a_case_lie_in_the_order_of_its_slices(ward):
    ward.send(4.0, 0.0, 2.0)

    ward.settle()

    (case,) = ward.list_cases()
    with ward.receiver.storage.database.reading() as session:
        repository = DicomRepository(session)
        positions = [
            repository.find_instance(file.sop_uid).slice_header["position_mm"]
            for file in ward.list_files(case)
        ]
    assert positions == [0.0, 2.0, 4.0]


def test_stacks_that_lie_at_one_place_are_cases_of_their_own(ward):
    ward.send(0.0, 2.0, EchoTime="10")
    ward.send(0.0, 2.0, EchoTime="80")

    ward.settle()

    cases = ward.list_cases()
    assert sorted(len(ward.list_files(case)) for case in cases) == [2, 2]
    assert {case.patient_id for case in cases} == {"P-1"}


def test_late_slices_join_their_case_which_is_scored_anew(ward):
    ward.send(0.0, 2.0)
    ward.settle()
    (case,) = ward.list_cases()
    first = ward.score(case)

    ward.send(4.0, 1.0)
    ward.settle()

    (grown,) = ward.list_cases()
    assert (grown.id, grown.state, grown.edition) == (case.id, CaseState.QUEUED, 1)
    assert len(ward.list_files(grown)) == 4
    second = ward.score(grown, score=5.0)
    (shown,) = ward.list_cases()
    assert second.id != first.id
    assert second.supersedes_id == first.id
    assert (shown.state, shown.score) == (CaseState.SCORED, 5.0)


def test_a_finding_of_the_earlier_edition_is_kept_but_not_shown(ward):
    ward.send(0.0, 2.0)
    ward.settle()
    (case,) = ward.list_cases()
    ward.send(4.0)
    ward.settle()

    finding = ward.score(case, edition=0)

    (grown,) = ward.list_cases()
    assert finding.edition == 0
    assert (grown.state, grown.score) == (CaseState.QUEUED, None)


def test_the_same_slice_again_wakes_nothing(ward):
    uid = make_uid()
    content = build_object(ward.study, ward.series, SOPInstanceUID=uid)
    for _ in range(2):
        with ward.receiver.draft() as draft:
            draft.write(content)
            ward.receiver.receive(draft, Delivery(SENDER, Channel.DIMSE))
        settled = ward.settle()

    assert settled == 0
    assert [case.edition for case in ward.list_cases()] == [0]


@pytest.mark.parametrize("kind", [SECONDARY_CAPTURE, PRESENTATION_STATE, REPORT, PARAMETRIC_MAP])
def test_what_is_no_scan_is_kept_and_never_becomes_a_case(ward, kind):
    ward.send(0.0, SOPClassUID=kind)

    settled = ward.settle()

    assert settled == 0
    assert ward.list_cases() == []
    with ward.receiver.storage.database.reading() as session:
        assert len(DicomRepository(session).list_study_series(ward.study)) == 1


def test_a_series_uid_in_two_studies_is_two_series(ward):
    ward.send(0.0)
    ward.send(0.0, study=make_uid())

    ward.settle()

    assert len(ward.list_cases()) == 2


def test_deleting_a_case_forgets_its_objects_its_series_and_its_study(ward):
    ward.send(0.0, 2.0)
    ward.settle()
    (case,) = ward.list_cases()

    with ward.receiver.storage.database.transaction() as session:
        delete_case(session, case.id, "test", ward.clock.now())
        DicomRepository(session).forget_empty()

    with ward.receiver.storage.database.reading() as session:
        assert DicomRepository(session).find_study(ward.study) is None


def test_a_slice_that_comes_after_its_case_was_deleted_opens_another(ward):
    ward.send(0.0)
    ward.settle()
    (case,) = ward.list_cases()
    with ward.receiver.storage.database.transaction() as session:
        delete_case(session, case.id, "test", ward.clock.now())

    ward.send(2.0)
    ward.settle()

    (other,) = ward.list_cases()
    assert other.id != case.id
    assert len(ward.list_files(other)) == 1


def test_a_series_whose_time_passed_while_nothing_ran_is_found_later(ward):
    ward.send(0.0)
    ward.clock.move(timedelta(days=1).total_seconds())

    assert ward.settle(after_s=0) == 1
