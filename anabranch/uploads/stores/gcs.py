"""Google Cloud Storage by the resumable protocol: the bytes of an object in order, as Google Drive takes them."""

import base64
from typing import Any
from urllib.parse import quote

from anabranch.core.errors import SetupError
from anabranch.uploads.stores.base import Head
from anabranch.uploads.stores.google import DONE, ResumableStore

ADDRESS = "https://storage.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_MISSING = 404


class GcsStore(ResumableStore):
    """A bucket."""

    server, scope, address = "Google Cloud Storage", SCOPE, ADDRESS

    def made(self, found: dict[str, Any]) -> Head:
        """Return size and MD5; an object that was made of parts has none."""
        return Head(int(found.get("size", -1)), base64.b64decode(found.get("md5Hash", "")).hex())

    def head(self, key: str) -> Head | None:
        """Ask for the object's size and MD5."""
        answer = self.ask("GET", f"{self.url}/storage/v1/b/{self.place}/o/{quote(key, safe='')}")
        if answer.status_code == _MISSING:
            return None
        if answer.status_code not in DONE:
            raise self.error(answer, key)
        return self.made(answer.json())

    def start(self, key: str, size: int) -> str:
        """Begin a session; its address is a secret, since it alone gives the right to write."""
        answer = self.ask(
            "POST",
            f"{self.url}/upload/storage/v1/b/{self.place}/o",
            params={"uploadType": "resumable", "name": key},
            content=b"{}",
            headers={"Content-Type": "application/json", "X-Upload-Content-Length": str(size)},
        )
        if answer.status_code == _MISSING:
            remedy = "Create the bucket, or correct its name."
            raise SetupError("destination-missing", "there is no such bucket", remedy, f"gs://{self.place}")
        if answer.status_code not in DONE or "location" not in answer.headers:
            raise self.error(answer, key)
        return answer.headers["location"]
