"""One record of JSON, decoded so that nothing is lost: numbers keep their text, and a key occurs only once."""

import json
import re
from typing import Any

import orjson

DEEPEST = 100  # levels of a record: deeper ones would end the interpreter's stack, or that of a reader of the output

NOT_FINITE = ("NaN", "Infinity", "-Infinity")  # which Python and others write, though JSON has no such numbers

_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|([\[{])|[\]}]', re.DOTALL)  # strings are passed over
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_OF = {dict: "object", list: "list", bool: "boolean", type(None): "null", str: "string"}


class MalformedError(Exception):
    """A record that is not a JSON object; `column` is where, if one key is to blame."""

    def __init__(self, reason: str, column: str = "", code: str = "bad_json") -> None:
        super().__init__(reason, column, code)
        self.reason, self.column, self.code = reason, column, code


class Number(str):
    """A number as written in the text."""

    __slots__ = ()


class Integer(Number):
    """A number without fraction and exponent."""

    __slots__ = ()


class Real(Number):
    """A number with a fraction or an exponent."""

    __slots__ = ()


def decoded(line: bytes) -> dict[str, Any]:
    """Decode one record: a JSON object in UTF-8; raises MalformedError."""
    if line.count(b"{") + line.count(b"[") > DEEPEST and _depth(line) > DEEPEST:
        raise MalformedError(f"it is nested deeper than {DEEPEST} levels")
    try:
        value = _DECODER.decode(line.decode())
    except UnicodeDecodeError as error:
        reason = f"byte {line[error.start]:#04x} at byte {error.start} of the record is not UTF-8"
        raise MalformedError(reason, _spoilt(line), "bad_encoding") from error
    except json.JSONDecodeError as error:
        raise MalformedError(f"malformed JSON: {error.msg} at character {error.pos + 1}") from error
    if not isinstance(value, dict):
        kind = "number" if isinstance(value, Number) else _OF[type(value)]
        raise MalformedError(f"a record is an object, but this is a {kind}", code="not_an_object")
    if _SURROGATE.search(line):
        _require_text(value)
    return value


def text_of(value: Any) -> str | None:
    """Return a value as text: a string as it is, null as None, all else as compact JSON, numbers as written."""
    if value is None or isinstance(value, str):
        return value and str(value)
    return encoded(value).decode()


def encoded(value: Any) -> bytes:
    """Encode a decoded value again, without insignificant space."""
    return orjson.dumps(value, default=_as_it_stood, option=orjson.OPT_PASSTHROUGH_SUBCLASS)


def _as_it_stood(number: Number) -> orjson.Fragment:
    return orjson.Fragment(str(number))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise MalformedError(f"key {twice!r} occurs twice", twice)
    return found


def _constant(name: str) -> Real:
    return Real(name)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=Integer, parse_float=Real, parse_constant=_constant, strict=True
)


def _depth(line: bytes) -> int:
    depth = deepest = 0
    for found in _BRACKET.finditer(line):
        if found[1]:
            depth += 1
            deepest = max(deepest, depth)
        elif found[0] in b"]}":
            depth -= 1
    return deepest


def _spoilt(line: bytes) -> str:
    """Name the first key whose value is not UTF-8, where the record can be decoded otherwise."""
    try:
        record = _DECODER.decode(line.decode(errors="surrogateescape"))
        return next((key for key, value in record.items() if not _is_text(value)), "")
    except (ValueError, AttributeError, MalformedError):
        return ""


def _require_text(record: dict[str, Any]) -> None:
    for key, value in record.items():
        if not _is_text({key: value}):
            raise MalformedError("an escape \\u names half a character", key.encode(errors="replace").decode())


def _is_text(value: Any) -> bool:
    try:
        encoded(value)
    except orjson.JSONEncodeError:
        return False
    return True
