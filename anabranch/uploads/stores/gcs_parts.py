"""Google Cloud Storage by its XML API: parts in any order, as S3 takes them, with HMAC keys or Google's tokens."""

import base64
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from awscrt import checksums

from anabranch.uploads.ranges import BLOCK, RangeFile
from anabranch.uploads.stores.base import Body, Destination, ExistsError, Head, Stop, StoredPart, Sum, Upload
from anabranch.uploads.stores.gcs import ADDRESS, SCOPE
from anabranch.uploads.stores.google import token_of
from anabranch.uploads.stores.s3 import S3Store, client_of
from anabranch.uploads.stores.secrets import Secrets, Unlock, no_blocks, secrets_of

_CRC = re.compile(r"crc32c=([A-Za-z0-9+/]{6}==)")


class GcsPartedStore(S3Store):
    """A bucket.

    Google keeps no MD5 of an object that was made of parts, and takes no condition when it is made: its CRC32C tells
    whether it is the same, and whether it exists is asked just before.
    """

    def __init__(self, destination: Destination, unlock: Unlock = no_blocks) -> None:
        super().__init__(replace(destination, endpoint=destination.endpoint or ADDRESS), unlock)
        self._crc = False  # CRC64NVME is unknown to it

    def head(self, key: str) -> Head | None:
        """Ask for the object's size; its tag is no sum."""
        found = super().head(key)
        return found and Head(found.size)

    def same(self, key: str, head: Head, path: str, part_size: int, stop: Stop) -> bool:
        """Compute the CRC32C of the file."""
        answer = self._call("head_object", key)["ResponseMetadata"]["HTTPHeaders"]
        told = _CRC.search(answer.get("x-goog-hash", ""))
        if told is None:  # not Google's own server
            return super().same(key, Head(head.size, answer.get("etag", "").strip('"')), path, part_size, stop)
        size, crc = os.stat(path).st_size, 0  # noqa: PTH116
        if size != head.size:
            return False
        with RangeFile(path, 0, size, stop) as body:
            while block := body.read(BLOCK):
                crc = checksums.crc32c(block, crc)
        return base64.b64encode(crc.to_bytes(4, "big")).decode() == told[1]

    def put(self, key: str, body: Body, total: Sum, *, new: bool) -> Head:
        """Put a small object, with its MD5."""
        self._require_absent(key, new=new)
        return super().put(key, body, total, new=False)

    def complete(self, upload: Upload, parts: Sequence[StoredPart], *, new: bool) -> Head:
        """Complete the upload."""
        self._require_absent(upload.key, new=new)
        return super().complete(upload, parts, new=False)

    def client(self) -> Any:
        """Return a client that signs with HMAC keys where there are some, or else sends Google's tokens."""
        secrets = secrets_of(self._destination, self._unlock)
        if secrets and secrets.access_key_id:
            return client_of(self._destination, secrets, os.getpid())
        return _with_tokens(self._destination, secrets, os.getpid())

    def _require_absent(self, key: str, *, new: bool) -> None:
        if new and self.head(key):
            raise ExistsError("destination-exists", "the object exists", "Choose another --if-exists.", key)


@lru_cache(maxsize=16)
def _with_tokens(destination: Destination, secrets: Secrets | None, process: int) -> Any:
    token = token_of(secrets, destination.credentials, SCOPE, process)

    def give(request: Any, **_: object) -> None:
        request.headers["Authorization"] = f"Bearer {token.text()}"

    client = client_of(destination, None, process, signed=False)
    client.meta.events.register("before-send.s3", give)
    return client
