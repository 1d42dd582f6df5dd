"""Prefect's HTTP API without importing Prefect, which would cost every command a second."""

import http.client
import json
import os
import random
import ssl
import time
import urllib.request
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from anabranch.core.errors import AnabranchError, SetupError, TemporaryError
from anabranch.run.secret import authorization

NOT_FOUND = 404
DENIED = (401, 403)  # the login is missing or wrong
CONFLICT = 409  # with what is there already
BUSY = (429, 502, 503, 504)  # 503 is what the server says when its SQLite database is locked, 502 and 504 a proxy
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
TRUE = ("1", "t", "true", "y", "yes", "on")  # what pydantic, and so Prefect, accepts as true
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)  # seconds before another attempt at a busy server, and up to half more
AT_ONCE = ()  # instead of PAUSES: no further attempt
LONGEST_PAUSE = 30.0  # seconds; a server that asks for a longer one is not waited for
PATIENCE = 90.0  # seconds, after which there is no further attempt

LOGIN = (
    "Set PREFECT_API_AUTH_STRING to that server's login, or unset PREFECT_API_URL; "
    "`anabranch status` says how for Anabranch's own server."
)

_logins: dict[str, str] = {}  # of servers of our own, by host and port


class RefusedError(SetupError):
    """The server refuses a request: `status` is the HTTP code, `detail` the server's reason."""

    status = 0
    detail = ""


class BusyError(TemporaryError):
    """The server was too busy for a request, or its reply was lost: the request may have been carried out.

    `status` is the HTTP code of the last refusal, 0 if the last reply was lost; `pause` how long the server asks us to
    wait, in seconds.
    """

    status = 0
    pause: float | None = None


NO_ANSWER = (SetupError, TemporaryError)  # what `call` raises


def call(
    url: str,
    body: object = None,
    *,
    method: str | None = None,
    timeout: float = 30,
    pauses: Sequence[float] | None = None,
) -> Any:
    """Send `body` as JSON (GET without one) and return the JSON answer; repeat the request while the server is busy.

    A request whose reply was lost is repeated, too, so it must be one that may be carried out twice. Raises SetupError
    "server-unreachable" if nothing answers, or something other than Prefect, RefusedError, and BusyError after the last
    of the pauses, by default PAUSES.
    """
    if not url.startswith(("http://", "https://")):
        raise unreachable(url, "it is not an http address")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, _headers(url), method=method)  # noqa: S310  the scheme was checked
    start, was_there = time.monotonic(), False
    for pause in PAUSES if pauses is None else pauses:
        try:
            return _send(request, timeout, was_there=was_there)
        except BusyError as error:
            wanted = error.pause or 0.0
            if wanted > LONGEST_PAUSE or time.monotonic() - start > PATIENCE:
                raise
            was_there = True
        # not all at the same time: they would be refused together again
        time.sleep(max(wanted, pause) * random.uniform(1.0, 1.5))  # noqa: S311  no secret
    return _send(request, timeout, was_there=was_there)


def _send(request: urllib.request.Request, timeout: float, *, was_there: bool) -> Any:
    """Send a request once; a server that was there, and now refuses connections, is probably being started again."""
    url = request.full_url
    try:
        with _opener(url).open(request, timeout=timeout) as response:
            return json.loads(response.read() or b"null")
    except HTTPError as error:
        refused = _refused(url, error)
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        reason = str(cause) or type(cause).__name__
        lost = isinstance(error, _NO_REPLY) or isinstance(cause, (*_CUT, *_AWAY) if was_there else _CUT)
        raise (_busy(url, f"its reply was lost ({reason})") if lost else unreachable(url, reason)) from error
    raise refused  # outside of the except block: its context would be the HTTPError, whose response does not pickle


_CUT = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError, http.client.IncompleteRead)
_AWAY = (ConnectionRefusedError, TimeoutError)  # no connection at all
_NO_REPLY = (TimeoutError,)  # as itself, and not as the reason why there is no connection


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Return an opener with no proxy to our own servers and this machine, which trusts what Prefect's client trusts."""
    address, handlers = urlsplit(url), list[urllib.request.BaseHandler]()
    if address.hostname in THIS_MACHINE or address.netloc in _logins:
        handlers.append(urllib.request.ProxyHandler({}))
    if address.scheme == "https":
        handlers.append(urllib.request.HTTPSHandler(context=_trust()))
    return urllib.request.build_opener(*handlers)


def _trust() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=os.environ.get("PREFECT_API_SSL_CERT_FILE") or None)
    if os.environ.get("PREFECT_API_TLS_INSECURE_SKIP_VERIFY", "").lower() in TRUE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def unreachable(url: str, why: str) -> SetupError:
    """Return the error for a server that does not answer."""
    return SetupError(
        "server-unreachable",
        f"the Prefect server does not answer at {url}: {why}",
        "Start that server, correct PREFECT_API_URL, or unset it to use Anabranch's own.",
    )


def ui_url(url: str) -> str:
    """Return the address of the pages of a server: $PREFECT_UI_URL, or derived from the API's address as in Prefect."""
    if named := os.environ.get("PREFECT_UI_URL"):
        return named
    pages = url.rstrip("/").removesuffix("/api").replace("https://api.prefect.cloud/api/", "https://app.prefect.cloud/")
    return pages.replace("/accounts/", "/account/").replace("/workspaces/", "/workspace/")


def page_of(url: str, run: str) -> str:
    """Return the address of a flow run's page, by the address of the API."""
    return f"{ui_url(url)}/runs/flow-run/{run}"


def _refused(url: str, error: HTTPError) -> AnabranchError:
    status, detail = error.code, _detail(error)
    if status in BUSY:
        busy = _busy(url, f"{detail} ({status})")
        busy.status, busy.pause = status, _seconds(error.headers.get("Retry-After"))
        return busy
    reason = f"the Prefect server refused {url}: {detail} ({status})"
    remedy = LOGIN if status in DENIED else "See that server's log."
    refused = RefusedError("server-refused", reason, remedy)
    refused.status, refused.detail = status, detail
    return refused


def _busy(url: str, why: str) -> BusyError:
    return BusyError("server-busy", f"the Prefect server was busy at {url}: {why}", "Run the same command again.")


def _seconds(retry_after: str | None) -> float | None:
    """Read the header Retry-After: a number of seconds, or a date."""
    if not retry_after:
        return None
    try:
        return max(float(retry_after), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def _detail(error: HTTPError) -> str:
    try:
        with error:
            text = error.read().decode(errors="replace")
    except (OSError, http.client.HTTPException):  # the status is known
        return str(error)
    try:
        answer = json.loads(text)
        return str(answer.get("detail") or answer.get("exception_message") or text)
    except (ValueError, AttributeError):
        return str(error)


def log_in(url: str, login: str) -> None:
    """Let later calls of the server of this API address carry this login, and none if it is empty."""
    _logins[_server(url)] = login


def login_of(url: str) -> str:
    """Return the login that was given for the server of this address, its pages included."""
    return _logins.get(_server(url), "")


def _server(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:  # it is not an address, which the request itself will find
        return ""


def _headers(url: str) -> dict[str, str]:
    """Send the login that belongs to the server; those of the environment are for the server that the user named."""
    headers = {"Content-Type": "application/json"}
    key, login = os.environ.get("PREFECT_API_KEY"), os.environ.get("PREFECT_API_AUTH_STRING")
    if _server(url) in _logins:
        key, login = None, _logins[_server(url)]
    if key:
        headers["Authorization"] = f"Bearer {key}"
    elif login:
        headers["Authorization"] = authorization(login)
    return headers
