"""The door of our own Prefect server: an ASGI layer around its application that lets in only who has the secret.

Prefect's own login protects its API, not its pages, and checks neither Host nor Origin; and it asks people to type.
Programs show the secret as Prefect expects it and pass unchanged. A browser opens a link that holds a token, gets a
cookie for it, and the door adds to its requests what Prefect asks for. What comes under another host name, or from a
page of another origin, is refused whatever it shows: it may be a browser in which a foreign page asks.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from anabranch.run.api import THIS_MACHINE
from anabranch.run.secret import TOKEN, Links, authorization, cookie, same

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

UI_SETTINGS = "/ui-settings"  # where the pages learn whether they must ask for a password
NAVIGATION = ("document", "")  # what a browser opens in a tab, as opposed to a frame, an image or a script
SAFE = ((b"x-frame-options", b"DENY"), (b"referrer-policy", b"same-origin"))
HOW = "Open the link that `anabranch status` prints in a terminal: it is valid once, for a day."


class Door:
    """Let requests pass to `app` if they carry the secret, and come under one of the host names."""

    def __init__(self, app: App, secret: str, hosts: Iterable[str] = THIS_MACHINE) -> None:
        self._app, self._secret, self._hosts = app, secret, frozenset(hosts)
        self._authorization = authorization(secret)
        self._cookie_name, self._cookie = cookie(secret)
        self._links = Links(secret)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request or web socket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif self._is_foreign(scope["headers"]):
            await _refuse(scope, send, HTTPStatus.FORBIDDEN, "This server answers only its own pages and this machine.")
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._request(scope, receive, send)

    async def _request(self, scope: Message, receive: Receive, send: Send) -> None:
        headers, known = scope["headers"], self._has_cookie(scope["headers"])
        if same(_one(headers, b"authorization"), self._authorization):
            await self._app(scope, receive, send)
        elif (token := _token(scope)) and (self._links.use(token) or known):
            await self._enter(scope, send)
        elif known:
            await self._as_browser(scope, receive, send)
        else:
            await _refuse(scope, send, HTTPStatus.UNAUTHORIZED, HOW)

    async def _as_browser(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = _without(scope["headers"], b"authorization")
        headers.append((b"authorization", self._authorization.encode()))
        if scope["path"] == UI_SETTINGS:  # the answer is read here, so it must not be compressed
            headers, send = _without(headers, b"accept-encoding"), _no_login_needed(send)
        await self._app({**scope, "headers": headers}, receive, _unframed(send))

    async def _enter(self, scope: Message, send: Send) -> None:
        """Set the cookie, and send the browser to the same page without the token."""
        kept = [(name, value) for name, value in _query(scope) if name != TOKEN]
        # one slash: two would name another server
        path = "/" + quote(scope["path"].lstrip("/")) + (f"?{urlencode(kept)}" if kept else "")
        crumb = f"{self._cookie_name}={self._cookie}; HttpOnly; SameSite=Lax; Path=/"
        headers = [(b"location", path.encode()), (b"set-cookie", crumb.encode()), (b"cache-control", b"no-store")]
        await _answer(send, HTTPStatus.SEE_OTHER, headers)

    async def _socket(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let Prefect judge programs, by their first message; give that of a browser the secret, or refuse it."""
        headers = scope["headers"]
        shown = _one(headers, b"authorization")
        if self._has_cookie(headers):
            await self._app(scope, _with_secret(receive, self._secret), send)
        elif _one(headers, b"origin") or "prefect" not in scope["subprotocols"] or not self._may_be_right(shown):
            await _refuse(scope, send, HTTPStatus.FORBIDDEN, HOW)
        else:
            await self._app(scope, receive, send)

    def _may_be_right(self, shown: str) -> bool:
        """Whether a web socket shows the secret, or shows none yet, as most of Prefect's clients."""
        return not shown or same(shown, self._authorization)

    def _is_foreign(self, headers: Headers) -> bool:
        """Whether the request may come from a page that is not ours.

        A page on another port of this machine counts as the same site, so cookies alone do not tell.
        """
        host, origin = _one(headers, b"host"), _one(headers, b"origin")
        if _name(f"//{host}") not in self._hosts or (origin and urlsplit(origin).netloc != host):
            return True
        site, wanted = _one(headers, b"sec-fetch-site"), _one(headers, b"sec-fetch-dest")
        return site in ("cross-site", "same-site") and wanted not in NAVIGATION

    def _has_cookie(self, headers: Headers) -> bool:
        crumbs = SimpleCookie()
        for name, value in headers:
            if name == b"cookie":
                try:
                    crumbs.load(value.decode("latin-1"))
                except CookieError:
                    continue
        found = crumbs.get(self._cookie_name)
        return found is not None and same(found.value, self._cookie)


def _one(headers: Headers, wanted: bytes) -> str:
    """Return a header; "" if it is missing, or there several times."""
    found = [value.decode("latin-1") for name, value in headers if name == wanted]
    return found[0] if len(found) == 1 else ""


def _without(headers: Headers, unwanted: bytes) -> Headers:
    return [(name, value) for name, value in headers if name != unwanted]


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _query(scope: Message) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _token(scope: Message) -> str:
    """Return the token of a link that is opened, not of one that a program only looks at."""
    return dict(_query(scope)).get(TOKEN, "") if scope["method"] == "GET" else ""


def _with_secret(receive: Receive, secret: str) -> Receive:
    """Put the secret into the first message, if that is a login."""
    first = True

    async def received() -> Message:
        nonlocal first
        message = await receive()
        if first and message["type"] == "websocket.receive":
            first = False
            message = {**message, "text": _logged_in(message.get("text") or "", secret)}
        return message

    return received


def _logged_in(text: str, secret: str) -> str:
    try:
        login = json.loads(text)
    except ValueError:
        return text
    return json.dumps({**login, "token": secret}) if isinstance(login, dict) and login.get("type") == "auth" else text


def _no_login_needed(send: Send) -> Send:
    """Let the pages believe that no password is needed; otherwise they would ask for it."""
    start: Message = {}
    body = b""

    async def sent(message: Message) -> None:
        nonlocal body
        if message["type"] == "http.response.start":
            start.update(message)
            return
        body += message.get("body", b"")
        if message.get("more_body"):
            return
        if start["status"] == HTTPStatus.OK:
            body = json.dumps({**json.loads(body), "auth": None}).encode()
        length = (b"content-length", str(len(body)).encode())
        await send({**start, "headers": [*_without(list(start["headers"]), b"content-length"), length]})
        await send({"type": "http.response.body", "body": body})

    return sent


def _unframed(send: Send) -> Send:
    """Forbid that a page of another server shows ours in a frame."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *SAFE]}
        await send(message)

    return sent


async def _refuse(scope: Message, send: Send, status: HTTPStatus, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403})  # before it was accepted: the client sees a 403
    elif "text/html" in _one(scope["headers"], b"accept"):
        await _answer(send, status, [(b"content-type", b"text/plain; charset=utf-8")], why.encode())
    else:
        await _answer(send, status, [(b"content-type", b"application/json")], json.dumps({"detail": why}).encode())


async def _answer(send: Send, status: HTTPStatus, headers: Headers, body: bytes = b"") -> None:
    headers = [*headers, *SAFE, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
