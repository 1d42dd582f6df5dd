"""Find, start and stop Anabranch's own background Prefect server, or use the one that PREFECT_API_URL names.

It keeps everything in one folder (`anabranch.core.config.state_dir()`); the user's ~/.prefect is never touched. This
module does not import Prefect, so that a command can set `prefect_environment` first.
"""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import certifi

from anabranch.core.config import state_dir
from anabranch.core.errors import SetupError
from anabranch.core.storage import published
from anabranch.run.api import RefusedError, call, ui_url, unreachable
from anabranch.run.background import Program, Say, alive, last_line, launch, locked, patiently, running, stop

PORT_SECONDS = 3.0  # to wait for the previous port
START_SECONDS = 180.0  # a first start migrates the database: 20 s on two busy cores, and we have seen worse

_QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
_SERVER_SETTINGS = {
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # seconds; under load SQLite needs more than the usual 10
    # the default forgets at a restart which runs held a deployment's slots, which then stay taken forever
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    # otherwise the pages ask port 4200, whatever the server's port, and stay blank; a path works through tunnels, too
    "PREFECT_SERVER_UI_API_URL": "/api",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",  # its pages call amplitude.com even with analytics off
    **_QUIET,
}


@dataclass(frozen=True, slots=True)
class Server:
    """A Prefect server: `pid` is None if it is not ours to stop, `healthy` says whether it answered just now."""

    url: str
    healthy: bool
    pid: int | None = None

    @property
    def ui_url(self) -> str:
        """The address of its pages."""
        return ui_url(self.url)


def ensure_server(home: Path | None = None, *, waiting: Say | None = None, timeout: float = START_SECONDS) -> str:
    """Return the API address of a server that answers; start our own when PREFECT_API_URL names none.

    Safe to call from several commands at once: one starts it, all get its address. `waiting` gets a sentence
    every ten seconds. Raises SetupError "server-unreachable", "server-not-started", "state-folder" or "busy".
    """
    if url := _named_server():
        _require_healthy(url)
        return url
    home = state_folder(home)
    with locked(home / "server.lock", timeout, waiting):
        program = running(home / "server.json")
        if not program or not _await_answer(program, home, timeout, waiting):  # which may just have been ending
            program = _start(home)
            if not _await_answer(program, home, timeout, waiting):
                raise _not_started("it ended", home)
    return program.url


def find_server(home: Path | None = None) -> Server | None:
    """Return the server that `ensure_server` would use, without starting one."""
    if url := _named_server():
        return Server(url, _answers(url, None))
    home = state_folder(home)
    program = running(home / "server.json")
    return Server(program.url, _answers(program.url, home), program.pid) if program else None


def stop_server(home: Path | None = None) -> bool:
    """Stop our own server, never another; return whether there was one."""
    home = state_folder(home)
    with locked(home / "server.lock", START_SECONDS):
        return stop(home / "server.json")


def prefect_environment(url: str, home: Path | None = None) -> dict[str, str]:
    """Return the variables by which Prefect, here and in child processes, uses this server; set before its import.

    With a server that the user named, the user's PREFECT_HOME is kept, since it may hold the login.
    """
    spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    direct = f"{spared},127.0.0.1" if spared else "127.0.0.1"  # a proxy cannot reach servers on this machine
    environment = {
        "PREFECT_API_URL": url,
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR",
        "no_proxy": direct,
        "NO_PROXY": direct,
        **_QUIET,
    }
    if url != _named_server():
        folder = state_folder(home)
        environment["PREFECT_HOME"] = str(_prefect_home(folder))
        environment["PREFECT_API_SSL_CERT_FILE"] = str(_one_authority(folder / "authority.pem"))
    return environment


def state_folder(home: Path | None = None) -> Path:
    """Return the folder of server and worker; create it, for this user only, or raise SetupError "state-folder"."""
    home = (home or state_dir()).resolve()  # the server reports its folder resolved
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        _prefect_home(home).mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise SetupError(
            "state-folder", f"the folder {home} cannot be used: {error}", "Name another one in ANABRANCH_STATE_DIR."
        ) from error
    return home


def _named_server() -> str:
    return os.environ.get("PREFECT_API_URL", "").rstrip("/")


def _prefect_home(home: Path) -> Path:
    return home / "prefect"


def _one_authority(path: Path) -> Path:
    """Keep one certificate in a file: Prefect reads all 140 per client, in 25 ms, but our server uses no TLS."""
    if not path.exists():
        first, end, _ = Path(certifi.where()).read_bytes().partition(b"-----END CERTIFICATE-----\n")
        with published(path) as file:
            file.write(first + end)
    return path


def _start(home: Path) -> Program:
    port = _choose_port(home / "server.port")
    # the user's settings for another server (its database, its password) would break this one
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    own = {
        "PREFECT_HOME": str(_prefect_home(home)),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{port}",  # otherwise any site could read it
    }
    return launch(
        ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        home / "server.json",
        home / "server.log",
        f"http://127.0.0.1:{port}/api",
        {**inherited, **_SERVER_SETTINGS, **own},
    )


def _choose_port(memory: Path) -> int:
    """Take the previous port, so that links to runs stay valid, or any free one, and remember it."""
    port = 0
    with suppress(OSError, ValueError):
        port = int(memory.read_text())
    # a server that has just been killed may still hold its port
    free = port and any(_free_port(port) for _ in patiently(PORT_SECONDS))
    port = port if free else _free_port(0)
    with published(memory) as file:
        file.write(str(port).encode())
    return port


def _free_port(port: int) -> int:
    """Return the port, or a free one for 0; return 0 if another program holds it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return 0
        return int(probe.getsockname()[1])


def _await_answer(program: Program, home: Path, timeout: float, waiting: Say | None) -> bool:
    """Wait until our server answers; return False if it ended instead."""
    for _ in patiently(timeout, "the Prefect server to start", waiting):
        if not alive(program):
            return False
        if _answers(program.url, home):
            return True
    raise _not_started(f"it does not answer after {timeout:.0f} s", home)


def _answers(url: str, home: Path | None) -> bool:
    """Whether a healthy server answers and, with `home`, is our own: it reports its folder."""
    try:
        _require_healthy(url)
    except SetupError:
        return False
    return home is None or _folder_of(url) == str(_prefect_home(home))


def _require_healthy(url: str) -> None:
    try:
        call(f"{url}/health", timeout=10)
    except RefusedError as error:
        raise unreachable(url, error.detail) from error


def _folder_of(url: str) -> str:
    try:
        return str(call(f"{url}/admin/settings", timeout=10)["home"])
    except (SetupError, KeyError, TypeError):
        return ""


def _not_started(why: str, home: Path) -> SetupError:
    log = home / "server.log"
    return SetupError(
        "server-not-started",
        f"Anabranch's Prefect server did not start, {why}: {last_line(log)}",
        f"Read {log}; `anabranch down` clears the rest.",
    )
