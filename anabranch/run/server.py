"""Find, start and stop Anabranch's own background Prefect server, or use the one that PREFECT_API_URL names.

It keeps everything in one folder (`anabranch.core.config.state_dir()`); the user's ~/.prefect is never touched. It
serves only requests that carry its secret, see `door`. This module does not import Prefect, so that a command can set
`prefect_environment` first.
"""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

import certifi

from anabranch.core.config import state_dir
from anabranch.core.environment import number_set
from anabranch.core.errors import SetupError, UsageError
from anabranch.core.storage import published, require_room
from anabranch.run.api import (
    AT_ONCE,
    DENIED,
    NO_ANSWER,
    PAUSES,
    RefusedError,
    call,
    log_in,
    login_of,
    ui_url,
    unreachable,
)
from anabranch.run.background import Program, Say, alive, last_line, launch, locked, patiently, running, stop
from anabranch.run.secret import FILE, HOST, forget_secret, link, make_secret, read_secret

LOOPBACK = "127.0.0.1"  # where our server listens by default
PORT_SECONDS = 3.0  # to wait for the previous port
_ROOM = 20_000_000  # bytes that a new database and its log need on the disk of the state folder
# without a sign of life; a first start migrates the database: 20 s on two busy cores, and we have seen minutes
START_SECONDS = 180.0

OPEN = (
    "The Prefect server that runs was started by an older version and lets in every user of this machine. "
    "`anabranch down` stops it; the next run starts one that asks for a secret."
)
_SERVE = ("-m", "uvicorn", "anabranch.run.serve:app", "--factory", "--no-access-log", "--log-level", "warning")
_QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
_SERVER_SETTINGS = {
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # the default keeps runs for ever, 100 kB each
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # seconds; under load SQLite needs more than the usual 10
    # rows of task runs are written by the hundred: 300 tasks took 2.7 instead of 9 s of CPU, and the page was up
    # to date 1 s after the run instead of 11 s
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "50",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # the default forgets at a restart which runs held a deployment's slots, which then stay taken forever
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    # otherwise the pages ask port 4200, whatever the server's port, and stay blank; a path works through tunnels, too
    "PREFECT_SERVER_UI_API_URL": "/api",
    "PREFECT_SERVER_UI_V2_ENABLED": "false",  # its pages call amplitude.com even with analytics off
    **_QUIET,
}


@dataclass(frozen=True, slots=True)
class Server:
    """A Prefect server: `pid` is None if it is not ours to stop, `healthy` says whether it answered just now.

    `open` says that it is ours and asks for no secret, as those of older versions.
    """

    url: str
    healthy: bool
    pid: int | None = None
    open: bool = False

    @property
    def ui_url(self) -> str:
        """The address of its pages."""
        return ui_url(self.url)


def ensure_server(
    home: Path | None = None, *, host: str | None = None, waiting: Say | None = None, timeout: float = START_SECONDS
) -> str:
    """Return the API address of a server that answers; start our own when PREFECT_API_URL names none.

    Safe to call from several commands at once: one starts it, all get its address. `host` is the address of this
    machine where our own is to listen, until `stop_server`; one that listens elsewhere is started again. A server that
    is slow to start is waited for as long as its process lives and its log or its database moves, with at most
    `timeout` seconds in between. `waiting` gets a sentence every ten seconds. Raises UsageError "bad-option",
    SetupError "server-unreachable", "server-not-started" or "state-folder", and TemporaryError "server-busy" or "busy".
    """
    if url := _named_server():
        if host is not None:
            reason = f"the server to be used is {url}, by PREFECT_API_URL"
            raise UsageError("bad-option", reason, "Unset PREFECT_API_URL to let Anabranch start its own.", "--host")
        _require_healthy(url)
        return url
    if host is not None:
        _require_own_address(host)
    home = state_folder(home)
    with locked(home / "server.lock", timeout, waiting, lambda: _sign(home)):
        program = running(home / "server.json")
        if host and host != _host(home):
            stop(home / "server.json")
            forget_secret(home)  # which may have been seen on the way
            program = None
            with published(home / "server.host") as file:
                file.write(host.encode())
        server = program and _await_answer(program, home, timeout, waiting)  # which may just have been ending
        if not server:
            server = _await_answer(_start(home), home, timeout, waiting)
    if not server:
        raise _not_started("it ended", home)
    if server.open and waiting:
        waiting(OPEN)
    return server.url


def find_server(home: Path | None = None) -> Server | None:
    """Return the server that `ensure_server` would use, without starting one."""
    if url := _named_server():
        return Server(url, _answers(url))
    home = state_folder(home)
    program = running(home / "server.json")
    return _look(program, home) if program else None


def stop_server(home: Path | None = None) -> bool:
    """Stop our own server, never another; return whether there was one."""
    home = state_folder(home)
    with locked(home / "server.lock", START_SECONDS, sign=lambda: _sign(home)):
        stopped = stop(home / "server.json")
        forget_secret(home)
        (home / "server.host").unlink(missing_ok=True)
        return stopped


def link_to(page: str) -> str:
    """Return a link that opens a page of our server once, without typing; for a person's terminal only.

    The address itself is returned where no secret is needed or known, such as for a server that the user named.
    """
    secret = login_of(page)
    return link(page, secret) if secret else page


def for_stock_prefect(url: str, home: Path | None = None) -> str:
    """Return the shell command after which `prefect` uses this server; it names the file of the secret, not that."""
    secret = (
        "" if url == _named_server() else f' PREFECT_API_AUTH_STRING="$(cat {quote(str(state_folder(home) / FILE))})"'
    )
    return f"export PREFECT_API_URL={url}{secret}"


def prefect_environment(url: str, home: Path | None = None) -> dict[str, str]:
    """Return the variables by which Prefect, here and in child processes, uses this server; set before its import.

    With a server that the user named, the user's PREFECT_HOME is kept, since it may hold the login.
    """
    spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    own = "127.0.0.1" if url == _named_server() else f"127.0.0.1,{urlsplit(url).hostname}"
    direct = f"{spared},{own}" if spared else own  # a proxy cannot reach servers on this machine
    environment = {
        "PREFECT_API_URL": url,
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "ERROR",
        "no_proxy": direct,
        "NO_PROXY": direct,
        **_QUIET,
    }
    if url != _named_server():
        folder = state_folder(home)
        environment["PREFECT_API_AUTH_STRING"] = read_secret(folder)
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
    require_room(home, _ROOM)
    host = _host(home)
    secret, port = _choose(home, host)
    pages = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    # the user's settings for another server (its database, its password) would break this one
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    own = {
        "PREFECT_HOME": str(_prefect_home(home)),
        "PREFECT_SERVER_API_AUTH_STRING": secret,  # other users see the words of a command, and not its environment
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": pages,  # otherwise any site could read it
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(_history_seconds()),
        HOST: host,
    }
    return launch(
        [*_SERVE, "--host", host, "--port", str(port)],
        home / "server.json",
        home / "server.log",
        f"{pages}/api",
        {**inherited, **_SERVER_SETTINGS, **own},
    )


def _history_seconds() -> int:
    """Return how long our server keeps a run that has ended."""
    return (number_set("ANABRANCH_HISTORY_DAYS") or 90) * 86400


def _host(home: Path) -> str:
    """Return the address where our server is to listen."""
    try:
        return (home / "server.host").read_text().strip() or LOOPBACK
    except OSError:
        return LOOPBACK


def _require_own_address(host: str) -> None:
    remedy = "Name an address of this machine by which the others reach it."
    if not host:  # by which the system would mean all
        raise UsageError("bad-option", "the address is empty", remedy, "--host")
    try:
        family, _, _, _, found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.bind(found)
    except (OSError, UnicodeError) as error:
        raise UsageError("bad-option", f"nothing can listen at {host!r} ({error})", remedy, "--host") from error
    if found[0] in ("0.0.0.0", "::"):  # noqa: S104  which is refused
        raise UsageError("bad-option", f"{host} stands for all addresses, and is none", remedy, "--host")


def _choose(home: Path, host: str) -> tuple[str, int]:
    """Choose secret and port, and remember them.

    Those of a server that was killed are kept, so that links, cookies and the worker that we started stay valid. On
    another port the secret is new, since the program that has the old port may have been sent the old one.
    """
    memory, before = home / "server.port", 0
    with suppress(OSError, ValueError):
        before = int(memory.read_text())
    # a server that has just been killed may still hold its port
    free = before and any(_free_port(before, host) for _ in patiently(PORT_SECONDS))
    port = before if free else _free_port(0, host)
    if not port:
        raise _not_started(f"nothing can listen at {host} any more", home)
    with published(memory) as file:
        file.write(str(port).encode())
    secret = read_secret(home) if free else ""
    return secret or make_secret(home), port


def _free_port(port: int, host: str = LOOPBACK) -> int:
    """Return the port, or a free one for 0; return 0 if another program holds it, or the host is not ours any more."""
    try:
        family, _, _, _, (address, _, *rest) = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port, *rest))
            return int(probe.getsockname()[1])
    except (OSError, OverflowError):
        return 0


def _await_answer(program: Program, home: Path, timeout: float, waiting: Say | None) -> Server | None:
    """Wait until our server answers; return None if it ended instead, or had to, since our secret is not its own."""
    for _ in patiently(timeout, "the Prefect server to start", waiting, lambda: _sign(home)):
        if not alive(program):
            return None
        server = _look(program, home)
        if server.healthy:
            return server
        if _denies(program.url):
            stop(home / "server.json")
            return None
    raise _not_started(f"it does not answer, and neither log nor database moved for {timeout:.0f} s", home)


def _sign(home: Path) -> object:
    """Return what changes while a server starts: its log, and the database that it makes or migrates."""
    files = (home / "server.log", *_prefect_home(home).glob("prefect.db*"))
    with suppress(OSError):
        return [(status.st_size, status.st_mtime_ns) for status in map(Path.stat, files)]
    return None


def _look(program: Program, home: Path) -> Server:
    """Ask our server how it is; it must also be our own, and so report its folder."""
    log_in(program.url, read_secret(home))
    try:
        settings = call(f"{program.url}/admin/settings", timeout=10, pauses=AT_ONCE)
        healthy = settings["home"] == str(_prefect_home(home))
        guarded = settings["server"]["api"]["auth_string"]
    except (*NO_ANSWER, KeyError, TypeError):
        return Server(program.url, healthy=False, pid=program.pid)
    return Server(program.url, healthy, program.pid, open=not guarded)


def _answers(url: str) -> bool:
    try:
        _require_healthy(url, AT_ONCE)
    except NO_ANSWER:
        return False
    return True


def _denies(url: str) -> bool:
    try:
        call(f"{url}/health", timeout=10, pauses=AT_ONCE)
    except RefusedError as error:
        return error.status in DENIED
    except NO_ANSWER:
        return False
    return False


def _require_healthy(url: str, pauses: Sequence[float] = PAUSES[:3]) -> None:
    try:
        call(f"{url}/health", timeout=10, pauses=pauses)
    except RefusedError as error:
        if error.status in DENIED:
            raise
        raise unreachable(url, error.detail) from error


def _not_started(why: str, home: Path) -> SetupError:
    log = home / "server.log"
    return SetupError(
        "server-not-started",
        f"Anabranch's Prefect server did not start, {why}: {last_line(log)}",
        f"Read {log}; `anabranch down` clears the rest.",
    )
