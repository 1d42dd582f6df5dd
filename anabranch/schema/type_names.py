"""Types by the names that people write: `int64`, `timestamp[us, UTC]`, `list<struct<a: int64>>`."""

import json
import re
from collections.abc import Callable, Sequence

import pyarrow as pa

from anabranch.schema.lattice import decimal

_PLAIN: dict[str, pa.DataType] = {
    "null": pa.null(),
    "bool": pa.bool_(),
    **{f"{sign}int{bits}": getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "halffloat": pa.float16(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "binary": pa.binary(),
    "large_binary": pa.large_binary(),
    "binary_view": pa.binary_view(),
    "date32": pa.date32(),
    "date64": pa.date64(),
}
_SHOWN = {type_: name for name, type_ in _PLAIN.items()}
_ALIASES = {
    "boolean": "bool",
    "int": "int64",
    "integer": "int64",
    "bigint": "int64",
    "float16": "halffloat",
    "float32": "float",
    "float64": "double",
    "str": "string",
    "text": "string",
    "utf8": "string",
    "date": "date32",
}
_NAME = re.compile(r"\s*(\w+)\s*(?:<(.*)>)?\s*(?:[\[(]([^][()<>]*)[\])])?\s*", re.DOTALL)  # name<inner>[options]
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|.', re.DOTALL)
_SIMPLE = re.compile(r"[^\W\d]\w*")


def shown_type(type_: pa.DataType) -> str:
    """Name a type as people write it; `parsed_type` reads the name again, but for unions and extensions."""
    if type_ in _SHOWN:
        return _SHOWN[type_]
    for check, show in _SHOW:
        if check(type_):
            return show(type_)
    return str(type_)


def _shown_timestamp(type_: pa.DataType) -> str:
    return f"timestamp[{type_.unit}{f', {type_.tz}' if type_.tz else ''}]"


def _shown_decimal(type_: pa.DataType) -> str:
    name = "decimal" if type_ == decimal(type_.precision, type_.scale) else f"decimal{type_.bit_width}"
    return f"{name}({type_.precision}, {type_.scale})"


def _shown_struct(type_: pa.DataType) -> str:
    return f"struct<{', '.join(f'{_shown_field(field.name)}: {shown_type(field.type)}' for field in type_)}>"


def _shown_field(name: str) -> str:
    return name if _SIMPLE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


_SHOW: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], str]], ...] = (
    (pa.types.is_timestamp, _shown_timestamp),
    (pa.types.is_decimal, _shown_decimal),
    (pa.types.is_struct, _shown_struct),
    (pa.types.is_map, lambda type_: f"map<{shown_type(type_.key_type)}, {shown_type(type_.item_type)}>"),
    (
        pa.types.is_dictionary,
        lambda type_: f"dictionary<{shown_type(type_.value_type)}, {shown_type(type_.index_type)}>",
    ),
    (pa.types.is_fixed_size_list, lambda type_: f"list<{shown_type(type_.value_type)}>[{type_.list_size}]"),
    (pa.types.is_fixed_size_binary, lambda type_: f"binary[{type_.byte_width}]"),
    (
        lambda type_: hasattr(type_, "value_type"),
        lambda type_: f"{str(type_).partition('<')[0]}<{shown_type(type_.value_type)}>",
    ),
)


def parsed_type(text: str) -> pa.DataType:
    """Read a type's name; raise ValueError that says what is wrong with it."""
    found = _NAME.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not a type")
    name, inner, options = found[1], found[2], found[3]
    name = _ALIASES.get(name.lower(), name.lower())
    if inner is None and options is None and name in _PLAIN:
        return _PLAIN[name]
    if name not in _BUILD:
        raise ValueError(f"{text!r} is not a type; use {', '.join(sorted({*_PLAIN, *_BUILD}))}")
    try:
        return _BUILD[name](_split(inner or ""), _split(options or ""))
    except (pa.ArrowException, TypeError, IndexError) as error:
        raise ValueError(f"{text!r} is not a complete type: {error}") from error


def _split(text: str) -> list[str]:
    """Split at commas outside brackets and quotes."""
    parts, depth = [""], 0
    for piece in _PIECE.findall(text):
        depth += (piece in "<[(") - (piece in ">])")
        if piece == "," and not depth:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts] if text.strip() else []


def _list(inner: Sequence[str], options: Sequence[str]) -> pa.DataType:
    (item,) = inner
    return pa.list_(parsed_type(item), *map(int, options))


def _field(text: str) -> tuple[str, pa.DataType]:
    quoted = text.startswith('"')
    name, end = json.JSONDecoder().raw_decode(text) if quoted else (text.partition(":")[0].strip(), text.find(":"))
    before, colon, type_ = text[end:].partition(":")
    if not colon or before.strip() or end < 0:
        raise ValueError(f"{text!r} is not a field; write name: type")
    return name, parsed_type(type_)


_Build = Callable[[Sequence[str], Sequence[str]], pa.DataType]


def _timed(make: Callable[..., pa.DataType], unit: str) -> _Build:
    return lambda _, options: make(*options or [unit])


def _nested(make: Callable[..., pa.DataType]) -> _Build:
    return lambda inner, _: make(*map(parsed_type, inner))


_BUILD: dict[str, _Build] = {
    "timestamp": _timed(pa.timestamp, "us"),
    "time32": _timed(pa.time32, "ms"),
    "time64": _timed(pa.time64, "us"),
    "time": _timed(pa.time64, "us"),
    "duration": _timed(pa.duration, "us"),
    "decimal": lambda _, options: decimal(*map(int, options)),
    "decimal128": lambda _, options: pa.decimal128(*map(int, options)),
    "decimal256": lambda _, options: pa.decimal256(*map(int, options)),
    "binary": lambda _, options: pa.binary(*map(int, options)),
    "list": _list,
    "large_list": _nested(pa.large_list),
    "list_view": _nested(pa.list_view),
    "large_list_view": _nested(pa.large_list_view),
    "struct": lambda inner, _: pa.struct([_field(text) for text in inner]),
    "map": _nested(pa.map_),
    "dictionary": _nested(lambda values, indices: pa.dictionary(indices, values)),
}
