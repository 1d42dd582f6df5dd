"""Google's XML API as far as our client needs it: an S3 server behind a door that takes tokens and tells CRC32C."""

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import google_crc32c
import httpx
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.uploads import servers

TOKEN = "ya29.secret-token"
_PASSED = ("content-md5", "content-type", "range")


class TokenDoor:
    """The door: signs for the server what comes with the right token."""

    def __init__(self, server: servers.Server) -> None:
        self.server, self.kinds = server, set[str]()

    def __enter__(self) -> Self:
        handler = type("Bound", (_Handler,), {"door": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> httpx.Response:
        request = AWSRequest(method, self.server.endpoint + path, headers or {}, body)
        S3SigV4Auth(Credentials(servers.KEY, self.server.secret), "s3", servers.REGION).add_auth(request)
        return httpx.request(method, self.server.endpoint + path, content=body, headers=dict(request.headers.items()))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    door: TokenDoor

    def log_message(self, *_: Any) -> None:
        pass

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.door.kinds.add((self.headers.get("Authorization") or "").partition(" ")[0])
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._say(401, b"<Error><Code>AuthenticationRequired</Code></Error>", {})
        passed = {name: value for name, value in self.headers.items() if name.lower() in _PASSED}
        answer = self.door.ask(self.command, self.path, body, passed)
        told = {name: value for name, value in answer.headers.items() if name in ("etag", "last-modified")}
        if self.command == "HEAD" and answer.status_code == 200:
            data = self.door.ask("GET", self.path).content
            told["x-goog-hash"] = f"crc32c={base64.b64encode(google_crc32c.Checksum(data).digest()).decode()}"
            told["Content-Length"] = answer.headers["content-length"]
        return self._say(answer.status_code, answer.content, told)

    def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815
