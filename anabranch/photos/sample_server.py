"""Serve a folder over SFTP on loopback, for reading, to one account: for the demonstration."""

import base64
import hashlib
import logging
import os
import secrets
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import paramiko
from paramiko.sftp_attr import SFTPAttributes

_BACKLOG = 20


class Served(NamedTuple):
    """Where a folder is served, and what logs in there."""

    url: str
    password: str
    host_key: str


class _Login(paramiko.ServerInterface):  # type: ignore[misc]  # paramiko has no types
    def __init__(self, password: str) -> None:
        self._password = password

    def check_auth_password(self, username: str, password: str) -> int:
        good = username == "demo" and secrets.compare_digest(password, self._password)
        return int(paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED)

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002  the interface is paramiko's
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:  # noqa: ARG002
        return int(paramiko.OPEN_SUCCEEDED)


class _Folder(paramiko.SFTPServerInterface):  # type: ignore[misc]
    """The folder as the root; links that lead out of it are not there."""

    def __init__(self, server: paramiko.ServerInterface, root: Path) -> None:
        super().__init__(server)
        self._root = root

    def _path(self, path: str) -> Path:
        found = (self._root / path.lstrip("/")).resolve()
        return found if found.is_relative_to(self._root) else self._root / "\0"

    def list_folder(self, path: str) -> list[SFTPAttributes] | int:
        try:
            entries = sorted(self._path(path).iterdir())
            return [SFTPAttributes.from_stat(entry.lstat(), entry.name) for entry in entries]
        except (OSError, ValueError):
            return int(paramiko.SFTP_NO_SUCH_FILE)

    def stat(self, path: str) -> SFTPAttributes | int:
        try:
            return SFTPAttributes.from_stat(self._path(path).stat())
        except (OSError, ValueError):
            return int(paramiko.SFTP_NO_SUCH_FILE)

    lstat = stat

    def open(self, path: str, flags: int, attr: SFTPAttributes) -> paramiko.SFTPHandle | int:  # noqa: ARG002
        if flags & (os.O_WRONLY | os.O_RDWR):
            return int(paramiko.SFTP_PERMISSION_DENIED)
        try:
            if not stat.S_ISREG(self._path(path).stat().st_mode):
                return int(paramiko.SFTP_FAILURE)
            handle = paramiko.SFTPHandle(flags)
            handle.readfile = self._path(path).open("rb")
        except (OSError, ValueError):
            return int(paramiko.SFTP_NO_SUCH_FILE)
        return handle


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve the folder until the block ends, with a key and a password of its own."""
    key, password = paramiko.ECDSAKey.generate(), secrets.token_urlsafe(12)
    fingerprint = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
    transports: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG) as listener:
        accepting = threading.Thread(
            target=_accept, args=(listener, key, password, folder.resolve(), transports), daemon=True
        )
        accepting.start()
        try:
            yield Served(f"sftp://demo@127.0.0.1:{listener.getsockname()[1]}/", password, f"SHA256:{fingerprint}")
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for transport in transports:
                transport.close()


def _accept(
    listener: socket.socket, key: paramiko.PKey, password: str, folder: Path, transports: list[paramiko.Transport]
) -> None:
    while True:
        try:
            plug, _ = listener.accept()
        except OSError:  # the block has ended
            return
        plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # a client that leaves is not worth a message
        transport = paramiko.Transport(plug)
        transport.add_server_key(key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Folder, folder)
        transports.append(transport)
        with suppress(paramiko.SSHException, EOFError):
            transport.start_server(server=_Login(password))
