"""Is this the server that we mean? Its key must be in known_hosts, or be the one that `--host-key` pins."""

import base64
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from anabranch.core.errors import SetupError
from anabranch.sftp.addresses import Server

SYSTEM_HOSTS = Path("/etc/ssh/ssh_known_hosts")


class KnownKeys:
    """The keys that are known of one server."""

    def __init__(self, server: Server, pinned: str | None) -> None:
        self.server, self.pinned = server, pinned
        self._known: list[Any] = []
        self._revoked: set[str] = set()
        if not pinned:
            for path in (SYSTEM_HOSTS, Path.home() / ".ssh" / "known_hosts"):
                with suppress(OSError):
                    for line in path.read_text("utf-8", "replace").splitlines():
                        self._add(line)

    def _add(self, line: str) -> None:
        """Take a line of known_hosts that names the server, in the clear or hashed."""
        from paramiko.hostkeys import HostKeyEntry, HostKeys  # noqa: PLC0415  takes 0.2 s

        if line.startswith("@revoked"):
            self._revoked.update(line.split()[3:4])
        elif line.strip() and not line.startswith(("#", "@")):
            with suppress(Exception):  # a line that is not understood concerns other servers, or other programs
                entry, keys = HostKeyEntry.from_line(line), HostKeys()
                for name in entry.hostnames:
                    keys.add(name, entry.key.get_name(), entry.key)
                if keys.lookup(self.server.known_as):
                    self._known.append(entry.key)

    def preferred(self, kinds: Sequence[str]) -> list[str]:
        """Order the kinds of keys so that the server shows one that is known, if it has it."""
        names = {"rsa-sha2-512": "ssh-rsa", "rsa-sha2-256": "ssh-rsa"}
        known = {key.get_name() for key in self._known}
        return sorted(kinds, key=lambda kind: names.get(kind, kind) not in known)

    def check(self, key: Any) -> None:
        """Raise SetupError, with the key's fingerprint and how to pin it, unless it is the right one."""
        seen = fingerprint(key)
        if self.pinned:
            if self.pinned.rstrip("=") != seen:
                raise self._changed(key, "not the pinned one")
            return
        if key.get_base64() in self._revoked:
            raise self._changed(key, "which known_hosts revokes")
        if any(known.asbytes() == key.asbytes() for known in self._known):
            return
        if self._known:
            raise self._changed(key, f"and known_hosts has {', '.join(map(fingerprint, self._known))}")
        port = "" if self.server.known_as == self.server.host else f"-p {self.server.port} "
        raise SetupError(
            "host-key-unknown",
            f"the server shows the key {seen} ({key.get_name()}), which known_hosts lacks",
            f"Compare it with what the server's owner says; if it is right, add --host-key {seen}, or run: "
            f"ssh-keyscan {port}{self.server.host} >> ~/.ssh/known_hosts",
            str(self.server),
        )

    def _changed(self, key: Any, why: str) -> SetupError:
        seen = fingerprint(key)
        return SetupError(
            "host-key-changed",
            f"the server shows the key {seen} ({key.get_name()}), {why}",
            f"Another machine may be in between. Ask the server's owner; if the new key is right, add "
            f"--host-key {seen}, or run: "
            f"ssh-keygen -R '{self.server.known_as}', and add the new key to known_hosts",
            str(self.server),
        )


def fingerprint(key: Any) -> str:
    """Write a key's fingerprint as ssh does."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
