"""A proxy before a real server of ours: for some requests it fails, as networks and busy servers do."""

import socket
import struct
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import urlsplit

PASSED_ON = ("Authorization", "Content-Type")


class FaultyProxy(BaseHTTPRequestHandler):
    """Do to each request whose path has the `word` what its turn says, and pass all others on.

    lost: pass it on, and close without a reply. reset: close at once, so that the client sees a reset. A number,
    perhaps with the value of Retry-After: refuse with that status. on: pass it on.
    """

    server: "Server"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        turn = self.server.turn() if self.server.word in self.path else "on"
        if turn == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        if turn[0].isdigit():
            status, _, wait = turn.partition(" ")
            self.send_response(int(status))
            if wait:
                self.send_header("Retry-After", wait)
            self._end(b'{"exception_message": "Service Unavailable"}')
            return
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        request = urllib.request.Request(self.server.target + self.path, body, headers, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, text = answer.status, answer.read()
        except HTTPError as error:
            status, text = error.code, error.read()
        if turn == "lost":
            self.close_connection = True
            return
        self.send_response(status)
        self._end(text)

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815  as BaseHTTPRequestHandler names them

    def _end(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Knows which turn is next; the last one holds for all that follow."""

    daemon_threads = True

    def __init__(self, target: str, word: str, turns: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", 0), FaultyProxy)
        self.target, self.word, self._turns = target, word, list(turns)
        self._lock = threading.Lock()

    def turn(self) -> str:
        with self._lock:
            return self._turns.pop(0) if len(self._turns) > 1 else self._turns[0]


@contextmanager
def before(url: str, word: str, turns: Sequence[str]) -> Iterator[str]:
    """Put such a proxy before the server of this API address; yield the address that goes through it."""
    parts = urlsplit(url)
    server = Server(f"{parts.scheme}://{parts.netloc}", word, turns)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{parts.path}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
