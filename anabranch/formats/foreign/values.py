"""What readers hand out as plain Python objects: dicts, lists, text, bytes, numbers, dates and times."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from anabranch.formats.foreign.lines import Record, damaged

MOST_VALUES = 1 << 20  # in one record; references within YAML can expand to any number

_PLAIN = frozenset({type(None), bool, int, float, bytes, dt.date, dt.time, Decimal})
# By name, so that no package is imported for it.
_KNOWN: dict[str, Callable[[Any], Any]] = {
    "bson.objectid.ObjectId": str,
    "bson.int64.Int64": int,
    "bson.decimal128.Decimal128": lambda value: value.to_decimal(),
    "bson.binary.Binary": bytes,
    "uuid.UUID": str,
}


def plain_record(found: Any, *, utc: bool = False) -> Record:
    """Make a plain record of what a reader gave; what is not a record gets the key `value`.

    With `utc` times without a zone are in UTC. SourceError where a value is of an unknown kind.
    """
    if type(found) is dict and set(map(type, (*found, *found.values()))) <= {str}:  # as most are
        _text("".join((*found, *found.values())))
        return found
    record = _Plain(utc)(found)
    return record if isinstance(record, dict) else {"value": record}


class _Plain:
    """Convert the values of one record, and count them."""

    def __init__(self, utc: bool) -> None:
        self.left = MOST_VALUES
        self._utc = utc

    def __call__(self, value: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise damaged(f"a record holds more than {MOST_VALUES} values")
        kind = type(value)
        if kind is str:
            return _text(value)
        if kind in _PLAIN:
            return value
        if isinstance(value, dict):
            return self._mapping(value)
        if kind in (list, tuple):
            return [self(item) for item in value]
        if kind is dt.datetime:
            return value.replace(tzinfo=dt.UTC) if self._utc and not value.tzinfo else value
        return self._other(value)

    def _mapping(self, value: dict[Any, Any]) -> Any:
        if all(type(key) is str for key in value):
            return {_text(key): self(item) for key, item in value.items()}
        return [{"key": self(key), "value": self(item)} for key, item in value.items()]

    def _other(self, value: Any) -> Any:
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        if name in _KNOWN:
            return _KNOWN[name](value)
        if name.endswith(".Timestamp") and name.startswith("msgpack.") and value.nanoseconds % 1000 == 0:
            return value.to_datetime()
        raise damaged(f"a value of type {name} cannot be held by a table: {value!r:.80}", "Leave it out.")


def _text(value: str) -> str:
    if not value.isascii():
        value.encode()  # half of a surrogate pair is not a text
    return value
