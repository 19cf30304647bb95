import os
import time
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.cases.repository import CaseRepository
from app.cases.states import CaseState, ReviewState
from app.cases.tables import CaseRow
from app.cases.terms import find_terms
from app.cases.worklist import CaseFilter, Page, Sort, select_page
from app.errors import InvalidCursor
from app.storage.database import Database, open_database
from tests.builders.cases import BUNDLE, OTHER_BUNDLE, fill_worklist
from tests.fakes.clock import FakeClock

# Of a page, in the database.
BAR_S = 0.05
TRIES = 8

AT = FakeClock().now()
FILTERS = [
    CaseFilter(),
    CaseFilter(state=CaseState.QUEUED),
    CaseFilter(verdict="anomalous"),
    CaseFilter(review=ReviewState.CONFIRMED),
    CaseFilter(bundle_digest=OTHER_BUNDLE),
    CaseFilter(modality="MR"),
    CaseFilter(site="site 39"),
    CaseFilter(sender="key:3"),
    CaseFilter(sender="key:none"),
    CaseFilter(text="name0042"),
    CaseFilter(text="given12 name"),
    CaseFilter(text="name"),
    CaseFilter(text="name", sender="key:none"),
    CaseFilter(received_from=AT - timedelta(hours=2)),
    CaseFilter(received_before=AT - timedelta(hours=1), received_from=AT - timedelta(hours=9)),
    CaseFilter(verdict="anomalous", modality="CT", site="site 39", bundle_digest=BUNDLE),
    CaseFilter(verdict="typical", state=CaseState.QUEUED),
]


def _fits(row: CaseRow, wanted: CaseFilter) -> bool:
    plain = ("state", "verdict", "review", "bundle_digest", "modality", "site", "sender")
    words = find_terms(row.patient_name, row.patient_id, row.accession)
    return (
        all(getattr(wanted, name) in (None, getattr(row, name)) for name in plain)
        and (wanted.received_from is None or row.received_at >= wanted.received_from)
        and (wanted.received_before is None or row.received_at < wanted.received_before)
        and all(any(w.startswith(t) for w in words) for t in find_terms(wanted.text))
    )


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def thousand(request, tmp_path_factory):
    yield from _open_filled(request, tmp_path_factory, 1000)


def _open_filled(request, tmp_path_factory, count):
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("worklist") / "aegle.db"
        path.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
        database = open_database(f"sqlite:///{path}", 2)
    else:
        cluster = request.getfixturevalue("cluster")
        name = cluster.create(request.getfixturevalue("postgres_template"))
        database = open_database(cluster.url(name), 2)
    with database.transaction() as session:
        fill_worklist(session, count, AT)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if request.param == "sqlite" else "VACUUM ANALYZE"))
    yield database
    database.close()


def _fall(word: str | None) -> tuple[int, ...]:
    """Give a key that sorts words from Z to A, none last."""
    return (*(-ord(letter) for letter in word or ""), 0)


def _walk(database: Database, page: Page) -> list[CaseRow]:
    rows: list[CaseRow] = []
    while True:
        with database.reading() as session:
            found = CaseRepository(session).list_page(page)
        rows.extend(found.rows)
        if found.next_cursor is None:
            return rows
        page = replace(page, cursor=found.next_cursor)


@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_pages_give_every_case_that_fits_once_and_in_order(thousand, wanted, sort):
    keys = {
        Sort.SCORE: lambda row: (-row.rank_score, -row.id.int),
        Sort.TIME: lambda row: (-row.received_at.timestamp(), -row.id.int),
        Sort.AGE: lambda row: (row.received_at.timestamp(), row.id.int),
        Sort.MODALITY: lambda row: (_fall(row.modality), -row.rank_score, -row.id.int),
    }
    with thousand.reading() as session:
        everything = session.query(CaseRow).all()
    expected = sorted((row for row in everything if _fits(row, wanted)), key=keys[sort])

    found = _walk(thousand, Page(wanted, sort, limit=37))

    assert [row.id for row in found] == [row.id for row in expected]


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_a_count_fits_the_list(thousand, wanted):
    with thousand.reading() as session:
        count = CaseRepository(session).count_cases(wanted)

    assert count == len(_walk(thousand, Page(wanted, Sort.TIME, 200)))


def test_jobs_walk_all_ids_in_chunks(thousand):
    found, last = [], None
    with thousand.reading() as session:
        while chunk := CaseRepository(session).list_case_ids(CaseFilter(), last, 150):
            found.extend(chunk)
            last = chunk[-1]

    assert len(found) == len(set(found)) == 1000


def test_every_filter_is_tried():
    tried = {
        field.name for wanted in FILTERS for field in fields(wanted) if getattr(wanted, field.name)
    }

    assert tried == {field.name for field in fields(CaseFilter)}


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "bnVsbA==", "e30=", "WzEsMiwzXQ==", "é"])
def test_a_cursor_that_is_not_ours_is_refused(thousand, cursor):
    page = Page(CaseFilter(), Sort.SCORE, 10, cursor)

    with thousand.reading() as session, pytest.raises(InvalidCursor):
        CaseRepository(session).list_page(page)


def test_a_cursor_of_another_list_is_refused(thousand):
    with thousand.reading() as session:
        first = CaseRepository(session).list_page(Page(CaseFilter(), Sort.SCORE, 10))
        page = Page(CaseFilter(verdict="typical"), Sort.SCORE, 10, first.next_cursor)

        with pytest.raises(InvalidCursor, match="another filter"):
            CaseRepository(session).list_page(page)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("MÜLLER^JÜRGEN", "muller"),
        ("Müller^Jürgen", "jurg"),
        ("DOE^ANNA-MARIA", "Anna-Mar"),
        ("ИВАНОВ^ПЁТР", "иван"),
        ("山田^太郎", "山"),
    ],
)
def test_names_are_found_by_the_beginning_of_a_word_in_any_case(name, query):
    (term,) = find_terms(query)

    assert any(word.startswith(term) for word in find_terms(name))


@pytest.mark.parametrize("sort", list(Sort))
def test_in_sqlite_a_page_is_found_inside_one_index(tmp_path, sqlite_template, sort):
    path = tmp_path / "plan.db"
    path.write_bytes(sqlite_template.read_bytes())
    database = open_database(f"sqlite:///{path}", 1)
    query = select_page(Page(CaseFilter(verdict="anomalous", site="s"), sort, 50))

    with database.reading() as session:
        sql = query.compile(session.connection(), compile_kwargs={"literal_binds": True})
        plan = [row[-1] for row in session.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]

    database.close()
    assert any("COVERING INDEX ix_cases_by" in step for step in plan)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def hundred_thousand(request, tmp_path_factory):
    yield from _open_filled(request, tmp_path_factory, 100_000)


@pytest.mark.slow
@pytest.mark.parametrize("sort", list(Sort))
@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_among_100_000_cases_a_page_is_found_quickly(hundred_thousand, wanted, sort):
    page = Page(wanted, sort, limit=50)

    first_s, cursor = _time_page(hundred_thousand, page)
    next_s, _ = _time_page(hundred_thousand, replace(page, cursor=cursor))

    assert (first_s < BAR_S, next_s < BAR_S) == (True, True), (first_s, next_s)


def _time_page(database: Database, page: Page) -> tuple[float, str | None]:
    """Give what a page costs on an idle machine: processor seconds, here and in the server."""
    with database.reading() as session:
        CaseRepository(session).list_page(page)  # from now on it is cached
        started_s = _read_cpu_s(session)
        for _ in range(TRIES):
            found = CaseRepository(session).list_page(page)
        return (_read_cpu_s(session) - started_s) / TRIES, found.next_cursor


def _read_cpu_s(session: Session) -> float:
    here_s = time.thread_time()
    if session.get_bind().dialect.name == "sqlite":
        return here_s
    server = session.scalar(text("SELECT pg_backend_pid()"))
    fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()  # proc(5)
    return here_s + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
