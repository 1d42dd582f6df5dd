"""The names of objects: which key each source gets, and which names are refused."""

import unicodedata
from collections.abc import Iterable
from pathlib import PurePath

from anabranch.core.errors import SourceError, UsageError
from anabranch.core.storage import shown

LONGEST_KEY = 1024  # bytes of UTF-8: the limit of S3, and of Google Cloud Storage
_REMEDY = "Rename the file, or leave it out."


def normal_key(prefix: str, below: PurePath) -> str:
    """Return the key of a source: its path below what was named, after the prefix, in Unicode's normal form C.

    Raises SourceError "key-refused" for names that no store could hold safely: text that is not UTF-8, control
    characters, parts that are empty, `.` or `..`, a leading slash, more than 1,024 bytes.
    """
    text = prefix + "/".join(below.parts)
    try:
        key = unicodedata.normalize("NFC", text)
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise SourceError("key-refused", "the name is not valid UTF-8", _REMEDY, shown(text)) from error
    if reason := _refusal(key, size):
        raise SourceError("key-refused", reason, _REMEDY, shown(text))
    return key


def _refusal(key: str, size: int) -> str:
    if any(unicodedata.category(letter) == "Cc" for letter in key):
        return "the name has control characters"
    if any(part in ("", ".", "..") for part in key.split("/")):
        return "the key has an empty part, or one that is . or .."
    if size > LONGEST_KEY:
        return f"the key has {size:,} bytes, and {LONGEST_KEY:,} are allowed"
    return ""


def require_distinct(named: Iterable[tuple[str, str]]) -> None:
    """Raise UsageError "same-key" for the first two sources of one key; takes pairs of a key and a source's label."""
    labels: dict[str, str] = {}
    for key, label in named:
        if key in labels:
            raise UsageError(
                "same-key",
                f"{labels[key]} and {label} would both become {shown(key)}",
                "Rename one of them, or send them in two runs.",
            )
        labels[key] = label
