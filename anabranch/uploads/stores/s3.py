"""S3 and what speaks its language, by boto3's low-level client, which alone can put one part of a foreign upload."""

import base64
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Literal

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from anabranch.core.errors import AnabranchError, SetupError, TemporaryError
from anabranch.uploads.parts import likely_sizes
from anabranch.uploads.ranges import RangeFile
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
from anabranch.uploads.tags import has_tag

CONNECT_SECONDS, READ_SECONDS = 10, 60
_CONNECTIONS = 64  # kept open for the threads of one process
_PAGE = 1000  # parts, or objects, in one answer
_LISTED = 4  # objects that are listed for each that is looked for: what lies between them, and some behind them
_UNASKED = 1 << 20  # bytes of a body that are sent without asking first whether the server wants them

_LATER = {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "Throttling", "ThrottlingException",
          "RequestLimitExceeded", "TooManyRequests"}  # fmt: skip
_SKEW, _SKEW_SECONDS = {"RequestTimeTooSkewed"}, 300
_FORBIDDEN, _REFUSED, _STATUS_OF_FULL = 403, (401, 403), 507
_LATER_STATUS = {408, 429, *range(500, 600)}
_KEYS = ("access_key_id", "secret_access_key")
_OTHER_SUMS = {f"Checksum{name}" for name in ("SHA256", "SHA1", "CRC32", "CRC32C")}
"""Sums of parts that another program sent. S3 wants one of each further part, and at the completion: not ours."""
_PLAIN_MD5 = (None, "AES256")  # server-side encryption whose tags are MD5 sums


class _AbsentError(AnabranchError):
    """There is no such object."""


class _UnknownHeaderError(AnabranchError):
    """The server may not know the headers of a checksum."""


_AGAIN, _MAKE_ROOM = "Run the same command again.", "Make room and run the same command again: it resumes."
_FULL = ("InsufficientStorage", "XMinioStorageFull", "QuotaExceeded", "StorageFull")
_MEANS: dict[str, tuple[type[AnabranchError], str, str]] = {
    "NoSuchUpload": (UploadGoneError, "upload-gone", _AGAIN),
    **dict.fromkeys(("404", "NoSuchKey"), (_AbsentError, "destination-missing", "Check the destination.")),
    **dict.fromkeys(
        ("PreconditionFailed", "412", "ConditionalRequestConflict"),
        (ExistsError, "destination-exists", "Choose another --if-exists."),
    ),
    **dict.fromkeys(
        ("BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "IncompleteBody"),
        (ChecksumRefusedError, "checksum-refused", _AGAIN),
    ),
    **dict.fromkeys(_FULL, (TemporaryError, "destination-full", _MAKE_ROOM)),
    **dict.fromkeys(
        ("NotImplemented", "InvalidArgument", "MissingContentLength"),
        (_UnknownHeaderError, "destination-refused", "Check the destination and the options."),
    ),
}
"""What the server's codes mean: the error, its code, and the remedy."""


class S3Store:
    """A bucket."""

    in_order: Literal[False] = False
    limits = Limits(smallest_part=5 << 20, largest_part=5 << 30, most_parts=10_000, largest_object=48_800 << 30)

    def __init__(self, destination: Destination, unlock: Unlock = no_blocks) -> None:
        self._bucket, self._destination, self._unlock = destination.place, destination, unlock
        self._crc = True  # until the server says that it does not know it

    def head(self, key: str) -> Head | None:
        """Ask for the object's size, tag and checksum."""
        try:
            found = self._call("head_object", key, ChecksumMode="ENABLED")
        except _AbsentError:
            return None
        return Head(found["ContentLength"], _tag(found), found.get("ChecksumCRC64NVME", ""))

    def same(self, key: str, head: Head, path: str, part_size: int, stop: Stop) -> bool:  # noqa: ARG002  the tag tells
        """Compute the tag that the file would have, in parts of that size, or of another that is likely."""
        size = os.stat(path).st_size  # noqa: PTH116
        return size == head.size and has_tag(path, size, head.etag, [part_size, *likely_sizes(size)], stop)

    def absent(self, keys: Sequence[str]) -> set[str]:
        """List from the first key on, one short page: what is not on it, and lies before its end, is absent."""
        prefix = os.path.commonprefix(list(keys))  # noqa: RUF071  which is what S3 compares
        try:
            page = self._call(
                "list_objects_v2",
                None,
                Prefix=prefix,
                StartAfter=min(keys)[:-1],
                MaxKeys=min(_LISTED * len(keys), _PAGE),
            )
        except SetupError:  # no right to list: each object is asked for
            return set()
        shown = [one["Key"] for one in page.get("Contents", [])]
        end = shown[-1] if page.get("IsTruncated") and shown else None
        return {key for key in keys if key not in shown and (end is None or key.encode() < end.encode())}

    def put(self, key: str, body: Body, total: Sum, *, new: bool) -> Head:
        """Put a small object."""
        answer = self._summed(
            lambda sums: self._call("put_object", key, Body=body, **_condition(new=new), **sums), body, total
        )
        if answer.get("ServerSideEncryption") in _PLAIN_MD5 and _tag(answer) != total.md5:
            raise _other_bytes(key)
        return Head(total.size, _tag(answer), answer.get("ChecksumCRC64NVME", ""))

    def create(self, key: str) -> Upload:
        """Create a multipart upload whose parts, and then the object, are summed by CRC64NVME where the server can."""
        try:
            wanted = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"} if self._crc else {}
            answer = self._call("create_multipart_upload", key, **wanted)
        except _UnknownHeaderError:
            self._crc, wanted = False, {}
            answer = self._call("create_multipart_upload", key)
        plain = answer.get("ServerSideEncryption") in _PLAIN_MD5 and "SSECustomerAlgorithm" not in answer
        return Upload(key, answer["UploadId"], "crc64" if wanted else "md5", plain)

    def put_part(self, upload: Upload, number: int, offset: int, body: Body, total: Sum) -> StoredPart:  # noqa: ARG002
        """Upload a part, with a checksum of it, and hold the server's tag against its MD5."""

        def send(sums: dict[str, str]) -> Any:
            return self._call("upload_part", upload.key, UploadId=upload.id, PartNumber=number, Body=body, **sums)

        answer = self._summed(send, body, total, crc=upload.checksum == "crc64")
        tag = _tag(answer)
        if upload.md5_etags and tag != total.md5:
            raise _other_bytes(upload.key)
        return StoredPart(number, total.size, total.md5, answer.get("ChecksumCRC64NVME", ""), tag)

    def list_parts(self, upload: Upload, numbers: range | None = None) -> list[StoredPart]:
        """List the parts, or those of some numbers, a thousand to a page."""
        wanted = numbers or range(1, self.limits.most_parts + 1)
        found, marker, most = [], wanted.start - 1, min(len(wanted), _PAGE)
        while True:
            page = self._call("list_parts", upload.key, UploadId=upload.id, PartNumberMarker=marker, MaxParts=most)
            for part in page.get("Parts", []):
                tag, crc = _tag(part), part.get("ChecksumCRC64NVME", "")
                md5 = tag if upload.md5_etags and (crc or not _OTHER_SUMS & part.keys()) else ""
                found.append(StoredPart(part["PartNumber"], part["Size"], md5, crc, tag))
            following = int(page.get("NextPartNumberMarker") or 0)
            if not page.get("IsTruncated") or following <= marker or following >= wanted.stop - 1:
                return sorted({part.number: part for part in found}.values(), key=lambda part: part.number)
            marker = following

    def list_uploads(self, prefix: str) -> Iterator[tuple[Upload, float]]:
        """List the multipart uploads of keys that begin so, newest first."""
        found, marker = [], {"KeyMarker": "", "UploadIdMarker": ""}
        while True:
            page = self._call("list_multipart_uploads", None, Prefix=prefix, **marker)
            for one in page.get("Uploads", []):
                known = one.get("ChecksumAlgorithm") == "CRC64NVME"
                upload = Upload(one["Key"], one["UploadId"], "crc64" if known else "md5")
                found.append((upload, one["Initiated"].timestamp()))
            following = {
                "KeyMarker": page.get("NextKeyMarker", ""),
                "UploadIdMarker": page.get("NextUploadIdMarker", ""),
            }
            if not page.get("IsTruncated") or following == marker:
                break
            marker = following
        yield from sorted(found, key=lambda one: -one[1])

    def complete(self, upload: Upload, parts: Sequence[StoredPart], *, new: bool) -> Head:
        """Complete the upload; the server's own tag is returned, to be held against ours."""
        listed = [_listed(part, upload) for part in parts]
        answer = self._call(
            "complete_multipart_upload", upload.key, UploadId=upload.id,
            MultipartUpload={"Parts": listed}, **_condition(new=new),
        )  # fmt: skip
        return Head(sum(part.size for part in parts), _tag(answer), answer.get("ChecksumCRC64NVME", ""))

    def abort(self, upload: Upload) -> None:
        """Abort the upload."""
        try:
            self._call("abort_multipart_upload", upload.key, UploadId=upload.id)
        except (UploadGoneError, _AbsentError):
            return

    def _summed(
        self, send: Callable[[dict[str, str]], Any], body: Body, total: Sum, *, crc: bool = True
    ) -> dict[str, Any]:
        """Send a body with its MD5, which the signature covers, and CRC64NVME where the server knows it."""
        md5 = {"ContentMD5": base64.b64encode(bytes.fromhex(total.md5)).decode()}
        if not (crc and self._crc):
            return send(md5)  # type: ignore[no-any-return]
        try:
            return send({**md5, "ChecksumCRC64NVME": total.crc64})  # type: ignore[no-any-return]
        except _UnknownHeaderError:
            self._crc = False
            body.seek(0)
            return send(md5)  # type: ignore[no-any-return]

    def client(self) -> Any:
        """Return the client of this process that has the destination's credentials."""
        return client_of(self._destination, secrets_of(self._destination, self._unlock, *_KEYS), os.getpid())

    def _call(self, operation: str, key: str | None, **arguments: Any) -> dict[str, Any]:
        named, body = arguments if key is None else {"Key": key, **arguments}, arguments.get("Body")
        try:
            return getattr(self.client(), operation)(Bucket=self._bucket, **named)  # type: ignore[no-any-return]
        except ClientError as error:
            raise _error(error, f"{self._destination}/{key or ''}", self._destination) from None
        except (BotoCoreError, OSError, ValueError) as error:
            if isinstance(body, RangeFile) and body.error:
                raise body.error from None
            raise _unanswered(error, self._destination) from None


@lru_cache(maxsize=16)
def client_of(
    destination: Destination,
    secrets: Secrets | None,
    process: int,  # noqa: ARG001  a fork shares none
    *,
    signed: bool = True,
) -> Any:
    """Make a client; one for each server and process, since it takes a tenth of a second and is thread-safe."""
    endpoint, (kind, _, name) = destination.endpoint, (destination.credentials or "").partition(":")
    session = boto3.Session(profile_name=name if kind == "profile" else None)
    configured = (session._session.get_scoped_config().get("s3") or {}).get("addressing_style")  # noqa: SLF001
    style = configured or ("path" if endpoint else "auto")
    client = session.client(
        "s3",
        endpoint_url=endpoint,
        region_name=(secrets and secrets.region) or session.region_name or "us-east-1",
        config=Config(
            retries={"total_max_attempts": 1},  # `retrying` knows more of what a fault means
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=_CONNECTIONS,
            request_checksum_calculation="when_required",  # we name them ourselves
            response_checksum_validation="when_required",
            # the signature covers the MD5, and a hash of the body would read it once more, 4 KiB at a time
            s3={"addressing_style": style, "payload_signing_enabled": False},
            signature_version=None if signed else UNSIGNED,
        ),
        aws_access_key_id=secrets and secrets.access_key_id,
        aws_secret_access_key=secrets and secrets.secret_access_key,
        aws_session_token=(secrets and secrets.session_token) or None,
    )
    client.meta.events.register_last("before-call.s3", _send_unasked)  # where botocore adds the header: after that
    return client


def _send_unasked(model: Any, params: dict[str, Any], **_: object) -> None:
    """Spare a small body the round trip after which the server says that it may come."""
    if model.name == "PutObject" and len(params["body"]) <= _UNASKED:
        params["headers"].pop("Expect", None)


def _tag(answer: dict[str, Any]) -> str:
    return str(answer.get("ETag", "")).strip('"')


def _condition(*, new: bool) -> dict[str, str]:
    return {"IfNoneMatch": "*"} if new else {}


def _listed(part: StoredPart, upload: Upload) -> dict[str, Any]:
    crc = {"ChecksumCRC64NVME": part.crc64} if part.crc64 and upload.checksum == "crc64" else {}
    return {"PartNumber": part.number, "ETag": f'"{part.tag}"', **crc}


def _error(error: ClientError, place: str, destination: Destination) -> AnabranchError:
    """Return what an answer of the server means."""
    answer = error.response
    code, text = answer["Error"].get("Code", ""), answer["Error"].get("Message", "")
    status = answer["ResponseMetadata"].get("HTTPStatusCode", 0)
    headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
    reason = f"the server says {code or status}{f': {text}' if text and text != code else ''}"
    if code in _SKEW or (code == str(_FORBIDDEN) and _skew(headers) > _SKEW_SECONDS):  # HEAD has no other words
        return BusyError(reason, clocks=_clocks(headers))
    if code in _LATER or (status in _LATER_STATUS and code not in _MEANS and status != _STATUS_OF_FULL):
        return BusyError(reason, after_seconds(headers.get("retry-after", "")), overloaded=status in OVERLOADED)
    if code == "NoSuchBucket":
        remedy = "Create the bucket, or correct its name."
        return SetupError("destination-missing", "there is no such bucket", remedy, str(destination))
    if code in _MEANS or status == _STATUS_OF_FULL:
        kind, ours, remedy = _MEANS.get(code, _MEANS[_FULL[0]])
        return kind(ours, reason, remedy, place)
    if status in _REFUSED:
        return SetupError("destination-refused", reason, "Check the credentials and their rights.", str(destination))
    return AnabranchError("destination-refused", reason, "Check the destination and the options.", place)


def _unanswered(error: Exception, destination: Destination) -> AnabranchError:
    """Return what it means that there was no answer, or none that can be understood."""
    name = type(error).__name__
    if name in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "TokenRetrievalError"):
        return SetupError("credentials-missing", str(error), "Set the credentials where the parts run.")
    if name in ("ParamValidationError", "InvalidEndpointDiscoveryConfigurationError"):
        return SetupError("destination-refused", str(error), "Check the destination.", str(destination))
    return BusyError(f"{destination.endpoint or destination} does not answer ({name})")


def _skew(headers: dict[str, str]) -> float:
    """Return by how many seconds the server's clock differs from ours."""
    try:
        return abs((parsedate_to_datetime(headers.get("date", "")) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def _clocks(headers: dict[str, str]) -> str:
    now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    return f"the clock here says {now}, the server's {headers.get('date', 'nothing')}"


def _other_bytes(key: str) -> ChecksumRefusedError:
    return ChecksumRefusedError(
        "checksum-refused", "the server's tag is not the MD5 of what was sent", "Run the same command again.", key
    )
