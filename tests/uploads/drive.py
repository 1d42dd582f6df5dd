"""A strict server of Google's resumable protocol, at the addresses of Drive and Cloud Storage, with one behaviour.

No emulator speaks Drive; what this one refuses is what Google's documents say: gaps, chunks that are no multiple of
256 KiB, sessions that do not exist.
"""

import base64
import hashlib
import json
import re
import threading
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

QUANTUM = 256 << 10


class Drive:
    """The server: its objects by name, its sessions, and the requests that came, by kind."""

    def __init__(self, behaviour: str = "plain") -> None:
        self.behaviour, self.fired = behaviour, 0
        self.objects: dict[str, bytes] = {}
        self.sessions: dict[str, dict] = {}
        self.seen: Counter[str] = Counter()
        self.received = 0
        self.tokens: set[str] = set()
        self.lock = threading.Lock()

    def __enter__(self) -> Self:
        handler = type("Bound", (_Handler,), {"drive": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def once(self) -> bool:
        self.fired += 1
        return self.fired == 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    drive: Drive

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.drive.seen["list"] += 1
        if "/o/" in self.path:
            name = unquote(self.path.partition("/o/")[2])
            return self._say(200, self._about(name)) if name in self.drive.objects else self._refuse(404, "notFound")
        name = re.search(r"name = '(.*?)' and", parse_qs(urlsplit(self.path).query).get("q", [""])[0])
        name = name and name[1].replace("\\'", "'")
        found = [self._about(name)] if name in self.drive.objects else []
        return self._say(200, {"files": found})

    def do_POST(self):
        if self.path == "/token":
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.drive.seen["token"] += 1
            return self._say(200, {"access_token": "ya29.of-the-account", "expires_in": 3600, "token_type": "Bearer"})
        return self._start()

    def do_PATCH(self):
        self._start()

    def do_DELETE(self):
        self.drive.seen["cancel"] += 1
        known = self.drive.sessions.pop(self._session(), None)
        self._say(499 if known else 404)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.drive.lock:
            self._put(body)

    def _start(self):
        about = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        self.drive.seen["start"] += 1
        self.drive.tokens.add(self.headers.get("Authorization"))
        if not self.headers.get("Authorization"):
            return self._refuse(401, "required")
        session = uuid.uuid4().hex
        name = about.get("name") or parse_qs(urlsplit(self.path).query)["name"][0]
        self.drive.sessions[session] = {"name": name, "data": bytearray()}
        return self._say(200, {}, Location=f"{self.drive.endpoint}/session?upload_id={session}")

    def _put(self, body):
        drive, session = self.drive, self.drive.sessions.get(self._session())
        drive.received += len(body)
        if session is None:
            return self._refuse(404, "notFound")
        span = self.headers.get("Content-Range", "")
        if match := re.fullmatch(r"bytes \*/(\d+)", span):
            drive.seen["query"] += 1
            done = len(session["data"]) == int(match[1])
            return self._finish(session) if done else self._resume(session)
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", span)
        if not match or int(match[2]) - int(match[1]) + 1 != len(body):
            return self._refuse(400, "badContentRange")
        drive.seen["chunk"] += 1
        return self._chunk(session, int(match[1]), body, int(match[3]))

    def _chunk(self, session, first, body, total):  # noqa: PLR0911
        drive, data = self.drive, session["data"]
        final = first + len(body) == total
        if first > len(data):
            return self._refuse(400, "gap")
        if not final and len(body) % QUANTUM:
            return self._refuse(400, "notMultipleOf256KiB")
        if (answer := self._fault(session, final)) is not None:
            return self._refuse(*answer) if isinstance(answer, tuple) else answer
        kept = body[len(data) - first :]
        if drive.behaviour == "no-range" and drive.once():
            return self._say(308)
        if drive.behaviour == "short-range" and not final:
            kept = kept[:QUANTUM]
        data += kept
        if len(data) != total:
            return self._resume(session)
        if drive.behaviour == "lost-final" and drive.once():
            drive.objects[session["name"]] = bytes(data)
            self.close_connection = True
            return None
        return self._finish(session)

    def _fault(self, session, final):
        drive, behaviour = self.drive, self.drive.behaviour
        if behaviour == "rate-403" and drive.seen["chunk"] % 3 == 0:
            return 403, "userRateLimitExceeded"
        if behaviour == "storage-quota" and drive.seen["chunk"] > 2:
            return 403, "storageQuotaExceeded"
        if behaviour == "daily-quota" and drive.seen["chunk"] > 2:
            return 403, "rateLimitExceeded"
        if behaviour == "500" and drive.seen["chunk"] % 2:
            return 500, "backendError"
        dies = behaviour == "gone-always" or (behaviour == "gone-410" and not drive.fired)
        if dies and len(session["data"]) >= 2 * QUANTUM:
            drive.fired += 1
            drive.sessions.pop(self._session())
            return 410, "gone"
        return None

    def _resume(self, session):
        size = len(session["data"])
        self._say(308, **({"Range": f"bytes=0-{size - 1}"} if size else {}))

    def _finish(self, session):
        self.drive.objects[session["name"]] = bytes(session["data"])
        self._say(200, self._about(session["name"]))

    def _about(self, name):
        data = self.drive.objects[name]
        md5 = hashlib.md5(data)
        sums = {"md5Checksum": md5.hexdigest(), "md5Hash": base64.b64encode(md5.digest()).decode()}
        return {"id": "1", "name": name, "size": str(len(data)), **sums}

    def _session(self):
        return self.path.split("upload_id=")[-1]

    def _refuse(self, status, reason):
        self._say(status, {"error": {"code": status, "errors": [{"domain": "usageLimits", "reason": reason}]}})

    def _say(self, status, answer=None, **headers):
        body = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
