import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from app.auth.service import revoke_key
from app.demonstration import _keep_key, _lock, _take_port
from app.errors import SettingsError
from app.main import create_app
from app.settings import Settings
from tests.builders.command_line import make_environment
from tests.builders.evaluations import draw_scan
from tests.builders.pictures import encode_picture
from tests.builders.services import make_settings

PROGRAM = """
import sys
from pathlib import Path
from app.demonstration import serve_demo
serve_demo(*map(Path, sys.argv[1:]))
"""
SCANS = 4


@contextmanager
def occupy(port=0):
    """Listen on a port, as another program would."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        yield other.getsockname()[1]


def test_a_taken_port_is_passed_over_unless_it_was_chosen():
    with occupy() as port:
        chosen = Settings(port=port)
        default = Settings.model_construct(**chosen.model_dump(), _fields_set=set())

        settings, listener = _take_port(default, Console(quiet=True))
        listener.close()

        assert settings.port > port
        with pytest.raises(SettingsError, match=f"port {port} "):
            _take_port(chosen, Console(quiet=True))


def test_a_second_demonstration_in_a_folder_is_told_where_the_first_is(tmp_path):
    with _lock(tmp_path) as path:
        path.write_text("http://127.0.0.1:8080")

        with pytest.raises(SettingsError, match=r"runs already: .*:8080"), _lock(tmp_path):
            pass

    with _lock(tmp_path):
        pass


def test_the_key_stays_the_same_until_it_is_revoked_or_lost(tmp_path):
    service = create_app(make_settings(tmp_path))
    access, file = service.state.access, tmp_path / "key"

    first, second = _keep_key(access, file), _keep_key(access, file)
    with access.database.transaction() as session:
        revoke_key(session, first.id, "test", access.clock.now())
    third = _keep_key(access, file)

    assert (first == second, first == third) == (True, False)
    assert file.stat().st_mode & 0o077 == 0
    service.state.storage.close()


class Demonstration:
    """The service part of the demonstration, in a process of its own."""

    def __init__(self, bundle: Path, scans: Path, folder: Path) -> None:
        kept = {n: value for n, value in make_environment().items() if not n.startswith("AEGLE_")}
        settings = {"AEGLE_DECODERS": "1", "AEGLE_MIN_FREE_BYTES": "0", "AEGLE_DEVICE": "cpu"}
        self.folder = folder
        self.output = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, bundle, scans, folder],
            env=kept | settings | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def await_line(self, word: str) -> str:
        """Read the output up to a line with this word."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if word in line:
                return line
        raise AssertionError(self.output)

    def interrupt(self) -> int:
        """Press Ctrl-C and give the exit status."""
        self.process.send_signal(signal.SIGINT)
        self.output += self.process.communicate(timeout=90)[0]
        return self.process.returncode

    def count_cases(self) -> int:
        """Count the cases on disk."""
        connection = sqlite3.connect(self.folder / "aegle.db")
        (count,) = connection.execute("select count(*) from cases").fetchone()
        connection.close()
        return int(count)


@pytest.mark.slow
def test_the_demonstration_loads_its_scans_once_and_stops_cleanly(tiny_bundle, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    for seed in range(SCANS):
        picture = encode_picture(draw_scan(81_000 + seed, has_lesion=True), "png")
        (scans / f"{seed}.png").write_bytes(picture)
    counts, secrets, statuses = [], [], []

    for _ in range(2):
        demonstration = Demonstration(tiny_bundle, scans, tmp_path / "service")
        try:
            address = demonstration.await_line("Aegle is running at").split()[4]
            secrets.append(demonstration.await_line("Setup secret:").split()[-1])
            demonstration.await_line("aegle keys create")
            counts.append(demonstration.count_cases())
            statuses.append(demonstration.interrupt())
        finally:
            demonstration.process.kill()

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
    assert counts == [SCANS, SCANS]
    assert secrets[0] != secrets[1]
    assert statuses == [0, 0]
    assert f"{SCANS} were sent before" in demonstration.output
    assert "Stopped" in demonstration.output
