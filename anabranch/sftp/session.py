"""One SFTP session on one channel: requests are sent ahead, replies are matched by their number, in any order."""

import time
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

from anabranch.core.errors import SetupError, Stopped
from anabranch.core.storage import shown
from anabranch.sftp import packets
from anabranch.sftp.packets import Packets, ProtocolError, Reply

_RECEIVED = 256 << 10  # bytes taken from the channel at a time
_TICK = 0.25  # seconds between looks at the clock and at a request to stop
_TEXT_SECONDS = 0.5  # to wait for the rest of a text in place of the protocol
_MOST_TEXT = 300
_SENT = 32 << 10  # bytes given to the channel at a time
_STALL_SECONDS = 60  # in which the server takes nothing more of what is sent

Stop = Callable[[], bool]


class LostError(Exception):
    """The connection is lost or cannot be trusted any more; what was not answered can be asked on another one."""


class NoReplyError(Exception):
    """The request that was first in line got no reply; `owner` is who sent it."""

    def __init__(self, owner: Any) -> None:
        super().__init__("a request got no reply")
        self.owner = owner


class Channel(Protocol):
    """What a session needs of a paramiko channel."""

    def send(self, s: bytes) -> int:
        """Send some of it, and return how many bytes; raises TimeoutError after the time of `settimeout`."""

    def recv(self, nbytes: int) -> bytes:
        """Return what has come, nothing at the end; raises TimeoutError after the time of `settimeout`."""

    def settimeout(self, timeout: float | None) -> None:
        """Set the longest time that `send` and `recv` wait, in seconds."""

    def close(self) -> None:
        """Close it."""


class Session:
    """Send requests, each with an owner, and hand out each reply with its owner."""

    def __init__(self, channel: Channel, label: str) -> None:
        self.label = label
        self.received = 0  # bytes
        self.extensions: frozenset[bytes] = frozenset()  # of the protocol, that the server offers
        self._channel = channel
        self._packets = Packets()
        self._numbers = count(1)
        self._live: dict[int, Any] = {}
        self._closing: set[int] = set()
        self._out = bytearray()
        self._head = 0  # the oldest request without a reply, and since when it has been that
        self._head_since = 0.0
        channel.settimeout(_TICK)

    def begin(self, timeout: float) -> None:
        """Agree on the version. Raises SetupError where the server sends text, or speaks only another version."""
        self._flush(packets.init())
        deadline = time.monotonic() + timeout
        try:
            while (packet := self._packets.take()) is None:
                if not self._receive() and time.monotonic() > deadline:
                    raise LostError("it does not answer the first SFTP packet")
            version = packets.version(packet)
            self.extensions = packets.extensions(packet) if version == packets.OURS else frozenset()
        except ProtocolError:
            raise self._text_instead() from None
        if version != packets.OURS:
            raise SetupError(
                "sftp-version",
                f"the server speaks version {version} of SFTP, and was asked for {packets.OURS}",
                "Serve the folder by OpenSSH, or by a server that speaks version 3.",
                self.label,
            )

    def _text_instead(self) -> SetupError:
        deadline = time.monotonic() + _TEXT_SECONDS
        try:
            while time.monotonic() < deadline and len(self._packets.pending) < _MOST_TEXT:
                self._receive()
        except LostError:
            pass
        text = shown(self._packets.pending[:_MOST_TEXT].decode(errors="backslashreplace").strip())
        return SetupError(
            "sftp-text",
            f"the server sends text before the protocol: {text!r}",
            "A start file of the account's shell prints it (~/.bashrc, ~/.profile, ~/.cshrc, /etc/profile): let it "
            "print only in interactive shells, or set `Subsystem sftp internal-sftp` on the server.",
            self.label,
        )

    @property
    def waiting(self) -> int:
        """How many requests have no reply yet."""
        return len(self._live)

    def ask(self, owner: Any, kind: int, subject: bytes, tail: bytes = b"") -> None:
        """Queue a request on a path or a handle; it is sent before the next reply is waited for."""
        number = next(self._numbers) & 0xFFFFFFFF
        self._out += packets.request(kind, number, subject, tail)
        if not self._live:
            self._head, self._head_since = number, time.monotonic()
        self._live[number] = owner

    def close_handle(self, handle: bytes) -> None:
        """Queue a CLOSE, of which the reply is not waited for."""
        number = next(self._numbers) & 0xFFFFFFFF
        self._out += packets.request(packets.CLOSE, number, handle)
        self._closing.add(number)

    def reply(self, timeout: float, stop: Stop) -> tuple[Any, Reply]:
        """Return the next reply with its owner.

        Raises NoReplyError where the request that is first in line has waited for `timeout` seconds, LostError where
        the connection is gone or the server sends nonsense, Stopped when `stop` says so.
        """
        while True:
            try:
                packet = self._packets.take()
                if packet is not None:
                    answer = packets.reply(packet)
                    if answer.number in self._closing:
                        self._closing.discard(answer.number)
                        continue
                    return self._answered(answer.number), answer
            except (ProtocolError, KeyError) as error:
                raise LostError(f"the server sent nonsense: {error}") from error
            self.flush(stop)
            if stop():
                raise Stopped
            came, waited = self._receive(), time.monotonic() - self._head_since
            if waited > (2 * timeout if came else timeout):  # what came may hold the reply, where we are slow
                raise NoReplyError(self._live[self._head])

    def _answered(self, number: int) -> Any:
        owner = self._live.pop(number)
        if number == self._head and self._live:
            self._head, self._head_since = next(iter(self._live)), time.monotonic()
        return owner

    def flush(self, stop: Stop = lambda: False) -> bool:
        """Send what is queued; return whether nothing is waited for, so that the session can be used again."""
        if self._out:
            self._flush(bytes(self._out), stop)
            self._out.clear()
        return not self._live

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def _flush(self, data: bytes, stop: Stop = lambda: False) -> None:
        at, since = 0, time.monotonic()
        while at < len(data):
            try:
                sent = self._channel.send(data[at : at + _SENT])
            except TimeoutError:
                if stop():
                    raise Stopped from None
                if time.monotonic() - since > _STALL_SECONDS:
                    raise LostError(f"the server has taken nothing for {_STALL_SECONDS} seconds") from None
                continue
            except (OSError, EOFError) as error:
                raise LostError(f"the connection was lost: {error}") from error
            if not sent:
                raise LostError("the server closed the connection")
            at, since = at + sent, time.monotonic()

    def _receive(self) -> bool:
        """Take what has come; return whether something has."""
        try:
            data = self._channel.recv(_RECEIVED)
        except TimeoutError:
            return False
        except (OSError, EOFError) as error:
            raise LostError(f"the connection was lost: {error}") from error
        if not data:
            raise LostError("the server closed the connection")
        self.received += len(data)
        self._packets.feed(data)
        return True
