"""Records of JSON, reduced to the values that paths lead to."""

from collections.abc import Mapping, Sequence
from typing import Any

from anabranch.formats.json.parsing import BLANK
from anabranch.formats.json.values import MalformedError, decoded, encoded

ABSENT = object()


def projected(block: bytes, paths: Mapping[str, str]) -> bytes:
    """Return a block of JSON lines whose records have one key for each path; lines that are not records stay."""
    keys = {name: path.split(".") for name, path in paths.items()}
    return b"\n".join([_line(line, keys) for line in block.split(b"\n")])


def value_at(record: Any, keys: Sequence[str]) -> Any:
    """Follow the keys into a record; ABSENT where they lead nowhere."""
    for key in keys:
        record = record.get(key, ABSENT) if isinstance(record, dict) else ABSENT
    return record


def _line(line: bytes, keys: Mapping[str, Sequence[str]]) -> bytes:
    if not line.strip(BLANK):
        return line
    try:
        record = decoded(line)
    except MalformedError:
        return line
    found = {name: value_at(record, path) for name, path in keys.items()}
    return encoded({name: value for name, value in found.items() if value is not ABSENT})
