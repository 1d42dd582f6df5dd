"""Open a connection to an SFTP server: the socket, whose key it shows, the login, and one session on one channel."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from anabranch.core.errors import AnabranchError, SetupError
from anabranch.sftp.addresses import Server
from anabranch.sftp.hostkeys import KnownKeys
from anabranch.sftp.session import LostError, Session

SECONDS = 30  # for each step of connecting
_ALIVE_SECONDS = 15  # of silence after which a message keeps what lies between from forgetting the connection
_CHANNEL_WINDOW = 32 << 20  # bytes: more than all replies in flight, so that the server never waits for us
_CHANNEL_PACKET = 64 << 10
_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a block holds; never written anywhere."""

    user: str = ""
    password: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    passphrase: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Access:
    """How to log in, without any secret: names of files and blocks only."""

    host_key: str | None = None
    key_file: str | None = None
    credentials: str | None = None


class RefusedError(Exception):
    """The server does not take a connection now; another attempt may succeed."""


class Connection:
    """A transport and its session."""

    def __init__(self, transport: Any, session: Session) -> None:
        self._transport, self.session = transport, session

    def close(self) -> None:
        """Close both; never raises."""
        with suppress(Exception):
            self.session.close()
        with suppress(Exception):
            self._transport.close()

    @property
    def alive(self) -> bool:
        """Whether it is still open, as far as we know."""
        return bool(self._transport.is_active())


def connect(server: Server, access: Access, secret: Credentials | None) -> Connection:
    """Connect and log in.

    Raises RefusedError where the server does not answer as it should, maybe for a moment, and SetupError where its key
    is not the right one, where it refuses the login, or has no SFTP.
    """
    import paramiko  # noqa: PLC0415  takes 0.2 s

    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # we report each error, once
    keys = KnownKeys(server, access.host_key)
    transport = None
    try:
        plug = socket.create_connection((server.host, server.port), timeout=SECONDS)
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # requests are small
        transport = paramiko.Transport(plug)
        transport.set_keepalive(_ALIVE_SECONDS)
        transport.banner_timeout = transport.auth_timeout = SECONDS
        options = transport.get_security_options()
        options.key_types = keys.preferred(options.key_types)
        options.ciphers = sorted(options.ciphers, key=lambda name: "-gcm@" not in name)  # a fifth less work
        transport.start_client(timeout=SECONDS)
        keys.check(transport.get_remote_server_key())
        _log_in(transport, server, access, secret)
        return Connection(transport, _session(transport, server))
    except socket.gaierror as error:
        raise SetupError(
            "server-unknown", f"no address is known for {server.host}: {error.strerror}", "Check the URL.", str(server)
        ) from error
    except (AnabranchError, RefusedError):
        _close(transport)
        raise
    except (paramiko.SSHException, OSError, EOFError, LostError) as error:
        _close(transport)
        raise RefusedError(str(error) or type(error).__name__) from error


def _close(transport: Any) -> None:
    if transport is not None:
        transport.close()


def _session(transport: Any, server: Server) -> Session:
    import paramiko  # noqa: PLC0415

    channel = transport.open_session(_CHANNEL_WINDOW, _CHANNEL_PACKET, SECONDS)
    try:
        channel.invoke_subsystem("sftp")
    except paramiko.SSHException as error:
        if not transport.is_active():
            raise
        raise SetupError(
            "no-sftp", f"the server offers no SFTP: {error}", "Switch on its subsystem sftp.", str(server)
        ) from error
    session = Session(channel, str(server))
    session.begin(SECONDS)
    return session


def _log_in(transport: Any, server: Server, access: Access, secret: Credentials | None) -> None:
    """Try the block, or else keys, the agent and $SFTP_PASSWORD, as far as the server takes their kind."""
    import paramiko  # noqa: PLC0415

    user = (secret and secret.user) or server.user
    tried: list[str] = []
    allowed: list[str] = []
    for name, way in _ways(transport, user, access, secret):
        tried.append(name)
        try:
            if not way():
                return
            tried[-1] += " (the server wants another proof too)"
        except paramiko.BadAuthenticationType as error:
            allowed = list(error.allowed_types)
        except paramiko.AuthenticationException:
            continue
        except paramiko.SSHException:
            if not transport.is_active():
                break
    if tried and not transport.is_active() and not allowed and len(tried) == 1:
        raise RefusedError("the connection was lost during the login")
    if not tried or transport.is_active() or allowed:
        raise SetupError(
            "login-refused",
            f"the server refuses the login of {user}; tried: {', '.join(tried) or 'nothing, since no key was found'}"
            + (f"; it takes: {', '.join(allowed)}" if allowed else ""),
            "Name a key with --key-file, load it into the agent, set $SFTP_PASSWORD, or name a block with "
            "--credentials.",
            str(server),
        )
    raise SetupError(
        "login-refused",
        f"the server ended the login of {user}; tried: {', '.join(tried)}",
        "It may allow few attempts: name the right key with --key-file.",
        str(server),
    )


def _ways(transport: Any, user: str, access: Access, secret: Credentials | None) -> Iterator[tuple[str, Any]]:
    if secret is not None:
        if secret.private_key:
            key = _loaded(StringIO(secret.private_key), secret.passphrase, "the block's key")
            yield "the block's key", lambda: transport.auth_publickey(user, key)
        if secret.password:
            yield "the block's password", lambda: transport.auth_password(user, secret.password)
        return
    for path in [Path(access.key_file)] if access.key_file else [Path.home() / ".ssh" / name for name in _KEYS]:
        if access.key_file or path.is_file():
            try:
                key = _loaded(path, "", str(path))
            except SetupError:
                if access.key_file:
                    raise
                continue
            yield f"the key {path}", lambda key=key: transport.auth_publickey(user, key)
    if not access.key_file and os.environ.get("SSH_AUTH_SOCK"):
        yield from _agent(transport, user)
    if password := os.environ.get("SFTP_PASSWORD"):
        yield "$SFTP_PASSWORD", lambda: transport.auth_password(user, password)


def _agent(transport: Any, user: str) -> Iterator[tuple[str, Any]]:
    import paramiko  # noqa: PLC0415

    with suppress(paramiko.SSHException):
        for key in paramiko.Agent().get_keys():
            yield "a key of the agent", lambda key=key: transport.auth_publickey(user, key)


def _loaded(source: Path | StringIO, passphrase: str, name: str) -> Any:
    """Load a private key of whatever kind. Raises SetupError where it cannot be."""
    import paramiko  # noqa: PLC0415

    try:
        text = source if isinstance(source, StringIO) else StringIO(source.read_text())
    except (OSError, ValueError) as error:
        raise SetupError("key-unreadable", f"the key cannot be read: {error}", "Check --key-file.", name) from error
    reason = "it is of no known kind"
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        text.seek(0)
        try:
            return kind.from_private_key(text, passphrase or None)
        except paramiko.PasswordRequiredException:
            reason = "it needs a passphrase"
        except (paramiko.SSHException, ValueError, TypeError, IndexError) as error:
            reason = reason if "passphrase" in reason else str(error)
    raise SetupError(
        "key-unreadable",
        f"the key cannot be used: {reason}",
        "Load it into the agent with ssh-add, or name a block with --credentials that has its passphrase.",
        name,
    )
