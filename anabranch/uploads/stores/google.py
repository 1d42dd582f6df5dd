"""Google's resumable protocol, and Google Drive by it: one growing offset for each file, which the server names."""

import json
import os
import re
import threading
import time
from functools import lru_cache
from typing import Any, Literal

import google.auth
import httpx
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.oauth2.service_account import Credentials

from anabranch.core.errors import AnabranchError, SetupError, TemporaryError
from anabranch.uploads.ranges import BLOCK, RangeFile, summed
from anabranch.uploads.stores.base import (
    OVERLOADED,
    Body,
    BusyError,
    Destination,
    Head,
    Limits,
    Stop,
    UploadGoneError,
    after_seconds,
)
from anabranch.uploads.stores.secrets import Secrets, Unlock, no_blocks, secrets_of

QUANTUM = 256 << 10  # bytes of which each chunk but the last is a multiple
TIMEOUT = httpx.Timeout(60, connect=10)  # seconds
_SCOPE = "https://www.googleapis.com/auth/"
_FIELDS = "id,name,size,md5Checksum"
DONE = (200, 201)
_RESUME, _GONE = 308, (404, 410)
_UNAUTHORIZED, _FORBIDDEN, _TOO_MANY, _SERVER = 401, 403, 429, 500
_RATES = {"rateLimitExceeded", "userRateLimitExceeded", "dailyLimitExceeded", "quotaExceeded"}
_FULL = {"storageQuotaExceeded", "teamDriveFileLimitExceeded"}


class ResumableStore:
    """What all stores of Google have in common that take the bytes of an object in order."""

    in_order: Literal[True] = True
    limits = Limits(smallest_part=QUANTUM, quantum=QUANTUM, largest_object=5 << 40)
    server, scope, address = "", "", ""

    def __init__(self, destination: Destination, unlock: Unlock = no_blocks) -> None:
        self.place, self.url = destination.place, (destination.endpoint or self.address).rstrip("/")
        self._client, self._destination, self._unlock = _client(os.getpid()), destination, unlock

    def made(self, found: dict[str, Any]) -> Head:
        """Return what an answer says of an object."""
        raise NotImplementedError

    def same(self, key: str, head: Head, path: str, part_size: int, stop: Stop) -> bool:  # noqa: ARG002
        """Compare size and MD5."""
        size = os.stat(path).st_size  # noqa: PTH116
        if size != head.size or not head.etag:
            return False
        with RangeFile(path, 0, size, stop) as body:
            return summed(body).md5 == head.etag

    def query_offset(self, session: str, size: int) -> int | Head:
        """Ask how many bytes the session has, or what object it became."""
        return self._offset(
            self.ask("PUT", session, headers={"Content-Range": f"bytes */{size}", "Content-Length": "0"})
        )

    def append(self, session: str, offset: int, body: Body, size: int) -> int | Head:
        """Send a chunk; return the offset that the server names, which may be less than what was sent."""
        length = len(body)
        span = f"bytes {offset}-{offset + length - 1}/{size}" if length else f"bytes */{size}"
        headers = {"Content-Range": span, "Content-Length": str(length)}
        body.seek(0)
        return self._offset(self.ask("PUT", session, content=_blocks(body), headers=headers))

    def cancel(self, session: str) -> None:
        """Drop the session; without error where there is none."""
        self.ask("DELETE", session)

    def _offset(self, answer: httpx.Response) -> int | Head:
        if answer.status_code == _RESUME:
            match = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("range", ""))
            return int(match[1]) + 1 if match else 0  # without Range nothing was kept
        if answer.status_code in DONE:
            return self.made(answer.json())
        raise self.error(answer, "the session")

    def ask(self, method: str, url: str, **more: Any) -> httpx.Response:
        """Send a request with a token; raises BusyError where there is no answer."""
        token = token_of(
            secrets_of(self._destination, self._unlock), self._destination.credentials, self.scope, os.getpid()
        )
        if self._destination.requests_per_minute:
            _pace(self._destination.requests_per_minute, os.getpid()).wait()
        headers = {**more.pop("headers", {}), "Authorization": f"Bearer {token.text()}"}
        try:
            answer = self._client.request(method, url, headers=headers, **more)
        except httpx.HTTPError as error:  # whose text may hold the session's address
            raise BusyError(f"{self.server} does not answer ({type(error).__name__})") from None
        if answer.status_code == _UNAUTHORIZED:
            token.forget()
        return answer

    def error(self, answer: httpx.Response, about: str) -> AnabranchError:
        """Return what a refusal means."""
        status, reasons = answer.status_code, _reasons(answer)
        said = f"{self.server} says {status}{f' {reasons[0]}' if reasons else ''}"
        if status in _GONE:
            return UploadGoneError("upload-gone", said, "Run the same command again.", about)
        if _FULL & set(reasons):
            remedy = "Make room and run the same command again: it resumes."
            return TemporaryError("destination-full", said, remedy, about)
        if status == _TOO_MANY or status >= _SERVER or (status == _FORBIDDEN and _RATES & set(reasons)):
            after = after_seconds(answer.headers.get("retry-after", ""))
            return BusyError(said, after, overloaded=status in (*OVERLOADED, _FORBIDDEN))
        return SetupError("destination-refused", said, "Check the credentials and their rights.", about)


class DriveStore(ResumableStore):
    """A folder of Google Drive, whose id is the destination's place; the key of an object is its name."""

    server, scope, address = "Google Drive", f"{_SCOPE}drive.file", "https://www.googleapis.com"

    def made(self, found: dict[str, Any]) -> Head:
        """Return size and MD5."""
        return Head(int(found.get("size", -1)), found.get("md5Checksum", ""))

    def head(self, key: str) -> Head | None:
        """Find the file of that name in the folder."""
        found = self._find(key)
        return self.made(found) if found else None

    def start(self, key: str, size: int) -> str:
        """Begin a session; its address is a secret, since it alone gives the right to write."""
        known = self._find(key)
        method, path = ("PATCH", f"files/{known['id']}") if known and "id" in known else ("POST", "files")
        about = {"name": key} if known else {"name": key, "parents": [self.place]}
        answer = self.ask(
            method,
            f"{self.url}/upload/drive/v3/{path}",
            params={"uploadType": "resumable", "fields": _FIELDS, "supportsAllDrives": "true"},
            content=json.dumps(about).encode(),
            headers={"Content-Type": "application/json", "X-Upload-Content-Length": str(size)},
        )
        if answer.status_code not in DONE or "location" not in answer.headers:
            raise self.error(answer, key)
        return answer.headers["location"]

    def _find(self, key: str) -> dict[str, Any] | None:
        name, folder = (text.replace("\\", "\\\\").replace("'", "\\'") for text in (key, self.place))
        wanted = {
            "q": f"name = '{name}' and '{folder}' in parents and trashed = false",
            "fields": f"files({_FIELDS})", "supportsAllDrives": "true", "includeItemsFromAllDrives": "true",
        }  # fmt: skip
        answer = self.ask("GET", f"{self.url}/drive/v3/files", params=wanted)
        if answer.status_code not in DONE:
            raise self.error(answer, key)
        return next(iter(answer.json().get("files", [])), None)


def _blocks(body: Body) -> Any:
    while block := body.read(BLOCK):
        yield block


def _reasons(answer: httpx.Response) -> list[str]:
    try:
        return [one.get("reason", "") for one in answer.json()["error"].get("errors", [])]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


@lru_cache(maxsize=1)
def _client(process: int) -> httpx.Client:  # noqa: ARG001  a fork shares no connections
    return httpx.Client(timeout=TIMEOUT, follow_redirects=False, limits=httpx.Limits(max_connections=64))


class _Pace:
    """Lets the requests of a process through one by one, evenly spaced."""

    def __init__(self, per_minute: int) -> None:
        self._gap, self._next, self._lock = 60 / per_minute, 0.0, threading.Lock()

    def wait(self) -> None:
        """Wait for the turn of a request."""
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now)
            self._next = turn + self._gap
        time.sleep(turn - now)


@lru_cache(maxsize=16)
def _pace(per_minute: int, process: int) -> _Pace:  # noqa: ARG001
    return _Pace(per_minute)


class _Token:
    """An access token: as it was given, or of google-auth's credentials, refreshed when it ends."""

    def __init__(self, secrets: Secrets | None, named: str | None, scope: str) -> None:
        self._secrets, self._named, self._scopes, self._lock = secrets, named, (scope,), threading.Lock()
        self._found: Any = None

    def text(self) -> str:
        """Return the token."""
        if self._secrets and not self._secrets.service_account:
            if not self._secrets.access_token:
                raise self._missing("have neither an access token nor a service account")
            return self._secrets.access_token
        with self._lock:
            return self._refreshed()

    def forget(self) -> None:
        """Ask for another one next time."""
        with self._lock:
            self._found = None

    def _refreshed(self) -> str:
        try:
            if self._found is None:
                self._found = (
                    self._account(self._secrets) if self._secrets else google.auth.default(scopes=self._scopes)[0]
                )
            if not self._found.valid:
                self._found.refresh(_over_httpx)
        except DefaultCredentialsError as error:
            remedy = "Set GOOGLE_APPLICATION_CREDENTIALS where the parts run."
            raise SetupError("credentials-missing", str(error).split(". ")[0], remedy) from None
        except GoogleAuthError as error:
            raise BusyError(f"Google gives no access token ({type(error).__name__})") from None
        return str(self._found.token)

    def _account(self, secrets: Secrets) -> Any:
        make: Any = Credentials.from_service_account_info  # which has no types
        try:
            return make(json.loads(secrets.service_account), scopes=self._scopes)
        except ValueError:  # whose text may hold some of the key
            raise self._missing("do not hold the key file of a service account") from None

    def _missing(self, reason: str) -> SetupError:
        remedy = "Correct them where the parts run."
        return SetupError("credentials-missing", f"the credentials {self._named} {reason}", remedy)


class _Answer:
    """An answer in the form that google-auth reads."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status, self.headers, self.data = answer.status_code, answer.headers, answer.content


def _over_httpx(
    url: str, method: str = "GET", body: Any = None, headers: Any = None, timeout: Any = None, **_: Any
) -> _Answer:
    return _Answer(httpx.request(method, url, content=body, headers=headers, timeout=timeout or TIMEOUT))


@lru_cache(maxsize=16)
def token_of(secrets: Secrets | None, named: str | None, scope: str, process: int) -> _Token:  # noqa: ARG001
    """Return the token of these secrets, or of Google's own environment, for what the scope names."""
    return _Token(secrets, named, scope)
