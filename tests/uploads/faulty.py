"""A proxy before an S3 server, with one fault: it answers some requests itself, cuts connections, or alters bytes."""

import asyncio
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Self

PASS, CUT, LOSE = "pass on", "cut the connection", "carry out and lose the answer"


@dataclass
class Request:
    """One request that came: what it asks for, and how many of its kind came before it, itself included."""

    kind: str  # create, part, complete, abort, list, put, head, other
    number: int  # of the part
    count: int
    body: bytes


Rule = Callable[[Request], object]  # PASS, CUT, LOSE, bytes of an answer, or ("alter", function of the answer or body)


@dataclass
class Faulty:
    """The proxy: `seen` counts the requests by kind, `parts` the requests by number of the part."""

    port: int  # of the server
    rule: Rule
    seen: Counter[str] = field(default_factory=Counter)
    parts: Counter[int] = field(default_factory=Counter)
    endpoint: str = ""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda *_: None)
        server = self._loop.run_until_complete(asyncio.start_server(self._answer, "127.0.0.1", 0, limit=1 << 20))
        self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        if re.search(rb"(?i)\r\nexpect: *100-continue", head):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = re.sub(rb"(?i)\r\nexpect: *100-continue", b"", head)
        body = await reader.readexactly(_length(head))
        request = self._request(head.split(b"\r\n")[0].decode(), body)
        found = self.rule(request)
        if found == CUT:
            writer.transport.abort()
            return False
        if isinstance(found, bytes):
            writer.write(found)
        else:
            if isinstance(found, tuple) and found[0] == "body":
                body = found[1](body)
            answer = await self._passed_on(head, body)
            if found == LOSE:
                writer.transport.abort()
                return False
            writer.write(found[1](answer) if isinstance(found, tuple) and found[0] == "answer" else answer)
        await writer.drain()
        return True

    async def _passed_on(self, head: bytes, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        writer.write(re.sub(rb"(?i)\r\nconnection: *[a-z-]+", b"", head)[:-2] + b"Connection: close\r\n\r\n" + body)
        answer = await reader.read()
        writer.close()
        return re.sub(rb"(?i)\r\nconnection: *close", b"", answer, count=1)

    def _request(self, line: str, body: bytes) -> Request:
        method, path, _ = line.split(" ")
        kinds = {
            "part": method == "PUT" and "partNumber=" in path,
            "complete": method == "POST" and "uploadId=" in path,
            "create": method == "POST" and path.endswith("?uploads"),
            "abort": method == "DELETE",
            "list": method == "GET",
            "head": method == "HEAD",
            "put": method == "PUT",
        }
        kind = next((name for name, fits in kinds.items() if fits), "other")
        number = int(match[1]) if (match := re.search(r"partNumber=(\d+)", path)) else 0
        self.seen[kind] += 1
        self.parts[number] += kind == "part"
        return Request(kind, number, self.seen[kind], body)


def _length(head: bytes) -> int:
    match = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(match[1]) if match else 0


def error(code: str, status: str, *headers: str, at: float | None = None) -> bytes:
    """An answer that says what S3 says; `at` is the server's clock (Unix time)."""
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>scripted</Message></Error>'
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/xml", f"Content-Length: {len(text)}",
             f"Date: {formatdate(at or time.time(), usegmt=True)}", *headers]  # fmt: skip
    return ("\r\n".join(lines) + "\r\n\r\n" + text).encode()
