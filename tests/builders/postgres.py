"""A private PostgreSQL cluster for one test process: own folder, unix socket only, no TCP port."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg

_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]}
_PLACES = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),)


@dataclass(frozen=True)
class Cluster:
    """A running cluster."""

    folder: Path
    _numbers: Iterator[int]
    server: "Server"

    def url(self, name: str) -> str:
        """Give the address of a database of this cluster."""
        return f"postgresql://tester@/{name}?host={self.folder}"

    def create(self, template: str = "template1") -> str:
        """Create a database and give its name."""
        name = f"test_{next(self._numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def disconnect(self, name: str) -> None:
        """Close all connections to a database from the server's side."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(statement, [name])

    def execute(self, statement: str) -> None:
        """Run one statement outside of a transaction."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


def find_binary(name: str) -> str | None:
    """Find a server program of PostgreSQL."""
    found = shutil.which(name)
    if found is not None:
        return found
    return next((str(place / name) for place in _PLACES if (place / name).is_file()), None)


class Server:
    """The server process of a cluster; stopped and started again it is the same cluster."""

    def __init__(self, folder: Path, user: dict[str, object]) -> None:
        self.folder = folder
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        server = find_binary("postgres")
        assert server
        options = {
            "listen_addresses": "", "unix_socket_directories": str(self.folder), "fsync": "off",
            "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "60",
            "shared_buffers": "64MB", "autovacuum": "off", "jit": "off",
        }  # fmt: skip
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [server, "-D", self.folder / "data", *arguments],
                env=_ENVIRONMENT, cwd=self.folder, stderr=log, stdout=log, **self._user,
            )  # fmt: skip
        _wait(Cluster(self.folder, count(), self), self._process)

    def stop(self) -> None:
        """Cut all connections and stop."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)


@contextmanager
def run_cluster() -> Iterator[Cluster]:
    """Start a cluster and stop it at the end."""
    initdb = find_binary("initdb")
    assert initdb
    folder = Path(tempfile.mkdtemp(prefix="aegle-pg-"))
    user = _find_user(folder)
    subprocess.run(
        [initdb, "-D", folder / "data", "-U", "tester", "-A", "trust", "-N", "-E", "UTF8"],
        check=True, capture_output=True, env=_ENVIRONMENT, cwd=folder, **user,
    )  # fmt: skip
    server = Server(folder, user)
    try:
        server.start()
        yield Cluster(folder, count(), server)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _find_user(folder: Path) -> dict[str, object]:
    # The server refuses to run as root.
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _wait(cluster: Cluster, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert process.poll() is None, (cluster.folder / "server.log").read_text()
        try:
            cluster.execute("SELECT 1")
        except psycopg.OperationalError:
            try:
                process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                continue
        else:
            return
    raise TimeoutError("PostgreSQL did not start")
