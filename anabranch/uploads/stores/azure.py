"""Azure Blob Storage, over httpx: blocks in any order, and a list of them that makes the object.

Azure knows no uploads: each name has one set of blocks that are in no object yet, and tells of them ids and sizes only.
So our ids tell the rest: when an upload was begun, a random number of its own, the part's number, and its MD5.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets as randomness
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qsl, quote
from xml.etree import ElementTree as ET

import httpx

from anabranch.core.errors import AnabranchError, SetupError
from anabranch.uploads.parts import likely_sizes
from anabranch.uploads.ranges import BLOCK
from anabranch.uploads.stores.base import (
    OVERLOADED,
    Body,
    BusyError,
    ChecksumRefusedError,
    Destination,
    ExistsError,
    Head,
    Limits,
    Stop,
    StoredPart,
    Sum,
    Upload,
    UploadGoneError,
    after_seconds,
)
from anabranch.uploads.stores.secrets import Secrets, Unlock, no_blocks, secrets_of
from anabranch.uploads.tags import has_tag, joined_tag

TIMEOUT = httpx.Timeout(60, connect=10)  # seconds
_VERSION = "2021-12-02"  # of the protocol
_TAG = "x-ms-meta-anabranch_tag"  # metadata: the MD5 of the parts' MD5s, since Azure has no sum of the whole
_ID = re.compile(r"([0-9a-f]{8}[0-9a-f]{6})(\d{5})([0-9a-f]{32})")
_ID_LENGTH = 51  # bytes, before they are written as base64
_KEPT = ("content-type", "content-encoding", "content-language", "content-md5", "cache-control", "content-disposition")
_OK, _GONE, _FORBIDDEN, _TOO_MANY, _SERVER = 300, 404, (401, 403), 429, 500
_SKEW_SECONDS = 900
_AGAIN = "Run the same command again."
_MEANS: dict[str, tuple[type[AnabranchError], str, str]] = {
    "ContainerNotFound": (SetupError, "destination-missing", "Create the container, or correct its name."),
    "ContainerBeingDeleted": (SetupError, "destination-missing", "Create the container, or correct its name."),
    "BlobAlreadyExists": (ExistsError, "destination-exists", "Choose another --if-exists."),
    "ConditionNotMet": (ExistsError, "destination-exists", "Choose another --if-exists."),
    "UnauthorizedBlobOverwrite": (ExistsError, "destination-exists", "Choose another --if-exists."),
    "Md5Mismatch": (ChecksumRefusedError, "checksum-refused", _AGAIN),
    "InvalidBlockList": (UploadGoneError, "upload-gone", _AGAIN),
}
"""What the server's codes mean: the error, its code, and the remedy."""


class AzureStore:
    """A container."""

    in_order: Literal[False] = False
    limits = Limits(largest_part=4000 << 20, most_parts=50_000, largest_object=50_000 * (4000 << 20))

    def __init__(self, destination: Destination, unlock: Unlock = no_blocks) -> None:
        self._destination, self._unlock = destination, unlock
        self._client = _client(os.getpid())

    def head(self, key: str) -> Head | None:
        """Ask for the object's size, and for its tag: our own, or its MD5 where it was put at once."""
        answer = self._ask("HEAD", key, missing=True)
        return None if answer.status_code == _GONE else _head(answer)

    def same(self, key: str, head: Head, path: str, part_size: int, stop: Stop) -> bool:  # noqa: ARG002
        """Compute the tag that the file would have."""
        size = os.stat(path).st_size  # noqa: PTH116
        sizes = [part_size, *likely_sizes(size)]
        return size == head.size and bool(head.etag) and has_tag(path, size, head.etag, sizes, stop)

    def absent(self, keys: Sequence[str]) -> set[str]:
        """List one page: what is not on it, and lies before its end, is absent."""
        names, following = self._names(os.path.commonprefix(list(keys)), "")  # noqa: RUF071
        return {key for key in keys if key not in names and (not following or key.encode() < names[-1].encode())}

    def put(self, key: str, body: Body, total: Sum, *, new: bool) -> Head:
        """Put a small object, with its MD5."""
        body.seek(0)
        headers = {"x-ms-blob-type": "BlockBlob", **_sums(total), **_condition(new=new)}
        self._ask("PUT", key, headers=headers, body=body)
        return Head(total.size, total.md5)

    def create(self, key: str) -> Upload:
        """Make sure that the name takes our blocks; AnabranchError "blocks-foreign" where others' hinder them."""
        foreign = [name for name, _ in self._blocks(key, "uncommitted") if len(base64.b64decode(name)) != _ID_LENGTH]
        if foreign and self._destination.discard_uncommitted:
            self._discard(key)
        elif foreign:
            raise self._foreign(key, f"another program has left {len(foreign)} blocks")
        return Upload(key, f"{int(time.time()):08x}{randomness.token_hex(3)}")

    def put_part(self, upload: Upload, number: int, offset: int, body: Body, total: Sum) -> StoredPart:  # noqa: ARG002
        """Put a block, with its MD5, which is part of its id too."""
        tag = base64.b64encode(f"{upload.id}{number:05d}{total.md5}".encode()).decode()
        body.seek(0)
        self._ask("PUT", upload.key, {"comp": "block", "blockid": tag}, headers=_sums(total), body=body)
        return StoredPart(number, total.size, total.md5, tag=tag)

    def list_parts(self, upload: Upload, numbers: range | None = None) -> list[StoredPart]:  # noqa: ARG002  all at once
        """List the upload's blocks; of several of one number, the last that the server names."""
        parts = {part.number: part for id_, part in self._parts(upload.key) if id_ == upload.id}
        if not parts:
            raise UploadGoneError("upload-gone", "the server has no block of the upload", _AGAIN, upload.key)
        return [parts[number] for number in sorted(parts)]

    def list_uploads(self, prefix: str) -> Iterator[tuple[Upload, float]]:
        """List the uploads of which there are blocks, newest first."""
        found, following = [], ""
        while True:
            names, following = self._names(prefix, following, include="uncommittedblobs")
            for key in names:
                found += [(Upload(key, id_), float(int(id_[:8], 16))) for id_ in {id_ for id_, _ in self._parts(key)}]
            if not following:
                break
        yield from sorted(found, key=lambda one: -one[1])

    def complete(self, upload: Upload, parts: Sequence[StoredPart], *, new: bool) -> Head:
        """Make the object of its blocks; again, after a lost answer, of those that are in it by then."""
        tag = joined_tag([part.md5 for part in parts])
        self._commit(upload.key, [("Latest", part.tag) for part in parts], {_TAG: tag, **_condition(new=new)})
        return Head(sum(part.size for part in parts), tag)

    def abort(self, upload: Upload) -> None:
        """Drop the blocks where they are all that the name has; beside an object, or other uploads, a week does it."""
        held = self._blocks(upload.key, "uncommitted")
        ours = [id_ for id_, _ in self._parts(upload.key)]
        if held and {upload.id} == set(ours) and len(ours) == len(held) and self.head(upload.key) is None:
            self._discard(upload.key)

    def _discard(self, key: str) -> None:
        """Let the server forget all blocks that are in no object: it does so when the object is made again."""
        answer = self._ask("HEAD", key, missing=True)
        if answer.status_code == _GONE:
            headers = {"x-ms-blob-type": "BlockBlob"}
            try:
                made = self._ask("PUT", key, headers={**headers, **_condition(new=True)})
            except ExistsError:  # Azurite takes blocks alone for an object here
                made = self._ask("PUT", key, headers=headers)
            self._ask("DELETE", key, headers={"If-Match": made.headers["etag"]})
            return
        committed = [("Committed", name) for name, _ in self._blocks(key, "committed")]
        if not committed:
            raise self._foreign(key, "the object there has no blocks, and could not be made again")
        kept = {f"x-ms-blob-{name}": answer.headers[name] for name in _KEPT if name in answer.headers}
        kept |= {name: value for name, value in answer.headers.items() if name.startswith("x-ms-meta-")}
        self._commit(key, committed, {**kept, "If-Match": answer.headers["etag"]})

    def _commit(self, key: str, blocks: Sequence[tuple[str, str]], headers: Mapping[str, str]) -> None:
        listed = "".join(f"<{kind}>{name}</{kind}>" for kind, name in blocks)
        text = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode()
        self._ask("PUT", key, {"comp": "blocklist"}, headers=headers, content=text)

    def _parts(self, key: str) -> Iterator[tuple[str, StoredPart]]:
        """Yield the blocks of ours that are in no object, with the upload of each."""
        for name, size in self._blocks(key, "uncommitted"):
            match = _ID.fullmatch(base64.b64decode(name).decode("ascii", "replace"))
            if match:
                yield match[1], StoredPart(int(match[2]), size, match[3], tag=name)

    def _blocks(self, key: str, kind: str) -> list[tuple[str, int]]:
        answer = self._ask("GET", key, {"comp": "blocklist", "blocklisttype": kind}, missing=True)
        if answer.status_code == _GONE:
            return []
        blocks = ET.fromstring(answer.content).iter("Block")  # noqa: S314  expat bounds what it expands
        return [(block.findtext("Name") or "", int(block.findtext("Size") or 0)) for block in blocks]

    def _names(self, prefix: str, marker: str, **more: str) -> tuple[list[str], str]:
        params = {"restype": "container", "comp": "list", "prefix": prefix, "marker": marker, **more}
        page = ET.fromstring(self._ask("GET", "", {k: v for k, v in params.items() if v}).content)  # noqa: S314
        return [blob.findtext("Name") or "" for blob in page.iter("Blob")], page.findtext("NextMarker") or ""

    def _foreign(self, key: str, why: str) -> AnabranchError:
        reason = f"{why} under this name whose ids have another length than ours, and Azure wants one"
        remedy = "Drop them with --discard-uncommitted, or wait for a week, after which Azure does."
        return AnabranchError("blocks-foreign", reason, remedy, f"{self._destination}/{key}")

    def _ask(
        self, method: str, key: str, params: Mapping[str, str] | None = None, *, missing: bool = False,
        headers: Mapping[str, str] | None = None, body: Body | None = None, content: bytes = b"",
    ) -> httpx.Response:  # fmt: skip
        """Send a request; an object that is missing is an answer too with `missing`. Raises the errors of `base`."""
        access = _access(self._destination, secrets_of(self._destination, self._unlock) or _found())
        path = quote(f"/{self._destination.place}{'/' if key else ''}{key}", safe="/~")
        url, asked = httpx.URL(access.endpoint + path), dict(params or {})
        length = len(content) if body is None else len(body)
        sent = {
            "x-ms-version": _VERSION, "x-ms-date": format_datetime(datetime.now(UTC), usegmt=True),
            "Content-Length": str(length), **(headers or {}),
        }  # fmt: skip
        if access.key:
            sent["Authorization"] = access.signed(method, url, asked, sent)
        data: Any = content if body is None else iter(lambda: body.read(BLOCK), b"")
        try:
            answer = self._client.request(method, url, params={**asked, **access.sas}, headers=sent, content=data)
        except httpx.HTTPError as error:  # whose text may hold the signature of a URL
            raise BusyError(f"{self._destination} does not answer ({type(error).__name__})") from None
        if answer.status_code < _OK or (
            (missing and _code(answer) in ("BlobNotFound", "")) and answer.status_code == _GONE
        ):
            return answer
        if _code(answer) in ("InvalidBlobOrBlock", "InvalidBlockId"):
            raise self._foreign(key, "another program is leaving blocks")
        raise _error(answer, f"{self._destination}/{key}")


class _Access:
    """Where an account's objects are, and what lets us in."""

    def __init__(self, destination: Destination, secrets: Secrets) -> None:
        told = dict(part.split("=", 1) for part in secrets.connection_string.split(";") if "=" in part)
        self.account = told.get("AccountName") or secrets.account_name
        self.key = told.get("AccountKey") or secrets.account_key
        sas = told.get("SharedAccessSignature") or secrets.sas_token
        self.sas = {} if self.key else dict(parse_qsl(sas.lstrip("?")))
        suffix = told.get("EndpointSuffix", "core.windows.net")
        default = f"{told.get('DefaultEndpointsProtocol', 'https')}://{self.account}.blob.{suffix}"
        self.endpoint = (destination.endpoint or told.get("BlobEndpoint") or default).rstrip("/")
        if not (self.key or self.sas) or not (self.account or self.endpoint != default):
            raise SetupError(
                "credentials-missing",
                "no key or signature of an Azure account is known",
                "Set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY or "
                "AZURE_STORAGE_SAS_TOKEN, where the parts run, or name a block with --credentials.",
            )

    def signed(self, method: str, url: httpx.URL, params: Mapping[str, str], headers: Mapping[str, str]) -> str:
        """Sign a request by the account's key."""
        lower = {name.lower(): value for name, value in headers.items()}
        length = lower.get("content-length", "")
        first = [method, "", "", "" if length == "0" else length, lower.get("content-md5", ""), "", "", "",
                 lower.get("if-match", ""), lower.get("if-none-match", ""), "", ""]  # fmt: skip
        ours = [f"{name}:{value}" for name, value in sorted(lower.items()) if name.startswith("x-ms-")]
        resource = [f"/{self.account}{url.raw_path.decode()}", *(f"{name}:{params[name]}" for name in sorted(params))]
        text = "\n".join([*first, *ours, *resource]).encode()
        try:
            key = base64.b64decode(self.key, validate=True)
        except ValueError:
            raise SetupError("credentials-missing", "the account's key is not base64", "Correct it.") from None
        return f"SharedKey {self.account}:{base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()}"


def _head(answer: httpx.Response) -> Head:
    md5 = base64.b64decode(answer.headers.get("content-md5", "")).hex()
    return Head(int(answer.headers["content-length"]), answer.headers.get(_TAG, "") or md5)


def _sums(total: Sum) -> dict[str, str]:
    return {"Content-MD5": base64.b64encode(bytes.fromhex(total.md5)).decode()}


def _condition(*, new: bool) -> dict[str, str]:
    return {"If-None-Match": "*"} if new else {}


def _code(answer: httpx.Response) -> str:
    return str(answer.headers.get("x-ms-error-code", ""))


def _error(answer: httpx.Response, place: str) -> AnabranchError:
    """Return what a refusal means."""
    status, code = answer.status_code, _code(answer)
    reason = f"the server says {status}{f' {code}' if code else ''}"
    if code == "InvalidOperation" and b"MD5" in answer.content:  # so says Azurite
        code = "Md5Mismatch"
    if code in _MEANS:
        kind, ours, remedy = _MEANS[code]
        return kind(ours, reason, remedy, place)
    if status in _FORBIDDEN:
        now, theirs = datetime.now(UTC), answer.headers.get("date", "")
        if theirs and abs((parsedate_to_datetime(theirs) - now).total_seconds()) > _SKEW_SECONDS:
            here = format_datetime(now, usegmt=True)
            return BusyError(reason, clocks=f"the clock here says {here}, the server's {theirs}")
        return SetupError("destination-refused", reason, "Check the credentials and their rights.", place)
    if status == _TOO_MANY or status >= _SERVER:
        after = after_seconds(answer.headers.get("retry-after", ""))
        return BusyError(reason, after, overloaded=status in OVERLOADED)
    return AnabranchError("destination-refused", reason, "Check the destination and the options.", place)


@lru_cache(maxsize=1)
def _client(process: int) -> httpx.Client:  # noqa: ARG001  a fork shares no connections
    return httpx.Client(timeout=TIMEOUT, limits=httpx.Limits(max_connections=64))


@lru_cache(maxsize=16)
def _access(destination: Destination, secrets: Secrets) -> _Access:
    return _Access(destination, secrets)


def _found() -> Secrets:
    """Return what Azure's own variables hold."""
    names = {"connection_string": "CONNECTION_STRING", "account_name": "ACCOUNT", "account_key": "KEY"}
    names["sas_token"] = "SAS_TOKEN"  # noqa: S105  the name of a variable
    return Secrets(**{ours: os.environ.get(f"AZURE_STORAGE_{theirs}", "") for ours, theirs in names.items()})
