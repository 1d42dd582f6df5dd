"""A wire to the database that can be cut at a statement: the real server behind it, and real lost connections."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Cut = Callable[[socket.socket, socket.socket, bytes], None]


class Proxy:
    """Passes everything on, except that the first message with `word` is handed to `at`."""

    def __init__(self, port: int, word: bytes, at: Cut) -> None:
        self._port, self._word, self._at = port, word, at
        self._lock = threading.Lock()
        self.seen = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._open += [client, server]
                threading.Thread(target=self._to_server, args=(client, server), daemon=True).start()
                threading.Thread(target=_pass, args=(server, client), daemon=True).start()

    def _to_server(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                with self._lock:
                    found = self._word in data and not self.seen.is_set()
                if found:
                    self._at(client, server, data)
                    self.seen.set()
                else:
                    server.sendall(data)
        close(server)

    def close(self) -> None:
        self._listener.close()
        for one in self._open:
            close(one)


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    close(target)


def close(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


def cut_before(client: socket.socket, server: socket.socket, data: bytes) -> None:
    """Lose the connection before the server hears the statement."""
    del data
    close(server)
    close(client)


def cut_after(client: socket.socket, server: socket.socket, data: bytes) -> None:
    """Lose the server's reply."""
    with suppress(OSError):
        client.shutdown(socket.SHUT_WR)  # nothing reaches the client any more
    server.sendall(data)
    threading.Event().wait(0.5)
    close(client)


def hold(client: socket.socket, server: socket.socket, data: bytes) -> None:
    """Neither pass the statement on nor answer."""


def hold_reply(client: socket.socket, server: socket.socket, data: bytes) -> None:
    """Let the server carry it out, and keep its reply."""
    with suppress(OSError):
        client.shutdown(socket.SHUT_WR)
    server.sendall(data)
    threading.Event().wait(0.5)


@contextmanager
def through(url: str, word: bytes, at: Cut) -> Iterator[tuple[str, Proxy]]:
    """Put such a wire before a database; yield the URL that goes through it."""
    head, _, rest = url.partition("@127.0.0.1:")
    port, _, name = rest.partition("/")
    proxy = Proxy(int(port), word, at)
    try:
        yield f"{head}@127.0.0.1:{proxy.port}/{name}", proxy
    finally:
        proxy.close()
