import os
from uuid import UUID

from app.client.journal import Journal, choose_journal, mark_files
from tests.builders.clients import fake

UPLOADS = [UUID(int=number) for number in range(3)]


def test_what_was_noted_is_found_again_whatever_line_was_cut_off(tmp_path):
    path = tmp_path / "state" / "journal"
    with Journal(path) as journal:
        journal.note("a", UPLOADS[0])
    with path.open("ab") as file:
        file.write(b'{"mark": "b", "upl')
    with Journal(path) as journal:
        journal.note("c", UPLOADS[2])

    with Journal(path) as journal:
        assert [journal.find(mark) for mark in "abc"] == [UPLOADS[0], None, UPLOADS[2]]


def test_nobody_else_reads_it(tmp_path):
    with Journal(tmp_path / "state" / "journal"):
        pass

    assert (tmp_path / "state" / "journal").stat().st_mode & 0o077 == 0


def test_a_file_that_changes_gets_another_mark(tmp_path):
    path = tmp_path / "scan"
    path.write_bytes(b"one")
    before = mark_files([path])

    os.utime(path, ns=(1, 1))
    touched = mark_files([path])
    path.write_bytes(b"three")

    assert len({before, touched, mark_files([path])}) == 3
    assert "scan" not in before


def test_each_service_and_key_has_its_own(tmp_path):
    with fake(lambda _: None) as client:
        place = choose_journal(client.access, {"XDG_STATE_HOME": str(tmp_path)})

    assert place.is_relative_to(tmp_path)
    assert "127" not in place.name
