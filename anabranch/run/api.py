"""Prefect's HTTP API without importing Prefect, which would cost every command a second."""

import http.client
import json
import os
import ssl
import time
import urllib.request
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from anabranch.core.errors import SetupError
from anabranch.run.secret import authorization

NOT_FOUND = 404
DENIED = (401, 403)  # the login is missing or wrong
BUSY = (429, 503)  # 503 is what the server says when its SQLite database is locked
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
TRUE = ("1", "t", "true", "y", "yes", "on")  # what pydantic, and so Prefect, accepts as true
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before another attempt at a busy server

LOGIN = (
    "Set PREFECT_API_AUTH_STRING to that server's login, or unset PREFECT_API_URL; "
    "`anabranch status` says how for Anabranch's own server."
)

_logins: dict[str, str] = {}  # of servers of our own, by host and port


class RefusedError(SetupError):
    """The server refuses a request: `status` is the HTTP code, `detail` the server's reason."""

    status = 0
    detail = ""


def call(url: str, body: object = None, *, method: str | None = None, timeout: float = 30) -> Any:
    """Send `body` as JSON (GET without one) and return the JSON answer; retry while the server is busy.

    Raises SetupError "server-unreachable" if nothing answers, or something other than Prefect, and RefusedError.
    """
    if not url.startswith(("http://", "https://")):
        raise unreachable(url, "it is not an http address")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, _headers(url), method=method)  # noqa: S310  the scheme was checked
    for pause in PAUSES:
        try:
            return _send(request, timeout)
        except RefusedError as error:
            if error.status not in BUSY:
                raise
            time.sleep(pause)
    return _send(request, timeout)


def _send(request: urllib.request.Request, timeout: float) -> Any:
    try:
        with _opener(request.full_url).open(request, timeout=timeout) as response:
            return json.loads(response.read() or b"null")
    except HTTPError as error:
        refused = _refused(request.full_url, error)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise unreachable(request.full_url, str(error) or type(error).__name__) from error
    raise refused  # outside of the except block: its context would be the HTTPError, whose response does not pickle


def _opener(url: str) -> urllib.request.OpenerDirector:
    """Return an opener that uses no proxy for this machine and trusts the certificates that Prefect's client trusts."""
    address, handlers = urlsplit(url), list[urllib.request.BaseHandler]()
    if address.hostname in THIS_MACHINE:
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


def _refused(url: str, error: HTTPError) -> RefusedError:
    status, detail = error.code, _detail(error)
    reason = f"the Prefect server refused {url}: {detail} ({status})"
    remedy = LOGIN if status in DENIED else "See that server's log."
    refused = RefusedError("server-refused", reason, remedy)
    refused.status, refused.detail = status, detail
    return refused


def _detail(error: HTTPError) -> str:
    with error:
        text = error.read().decode(errors="replace")
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
    except ValueError:  # it is no address, which the request itself will find
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
