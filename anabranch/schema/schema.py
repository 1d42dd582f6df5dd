"""One schema for all parts: the narrowest types that hold what several schemas hold, and schemas as JSON."""

import json
from collections.abc import Container, Iterable, Sequence
from functools import reduce
from itertools import chain, count
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import types

from anabranch.core.errors import SourceError, UsageError
from anabranch.schema.lattice import is_bytes, is_text, joined, list_of
from anabranch.schema.rules import OnConflict
from anabranch.schema.type_names import parsed_type, shown_type

__all__ = ["ConflictError", "dump_schema", "is_nested", "load_schema", "shown_type", "unify", "wider", "writable"]


class ConflictError(SourceError):
    """A column holds what no one type holds; `item` is the column."""


def unify(schemas: Sequence[pa.Schema], on_conflict: OnConflict) -> pa.Schema:
    """Return the narrowest schema that holds all of them, with columns in order of first appearance.

    The types do not depend on the order of the schemas. `fail` allows only what loses nothing: null → anything,
    int64 → decimal or double, finer units of time, and so on. `widen` also changes how a value looks: date → timestamp,
    otherwise scalars of two kinds → string. With `string` each conflict ends in a string, that of a nested value and a
    scalar too (as JSON). Raises ConflictError for the rest: binary is never text.
    """
    merged = reduce(lambda one, two: _merged(one, two, on_conflict, ""), schemas or [()])
    return pa.schema([pa.field(field.name, field.type, field.nullable) for field in merged])


def wider(one: pa.DataType, two: pa.DataType, on_conflict: OnConflict, column: str = "") -> pa.DataType:
    """Return the narrowest type that holds both, by the rules of `unify`; raises ConflictError."""
    if one == two or types.is_null(two):
        return one
    if types.is_null(one):
        return two
    plain_one, plain_two = _plain(one), _plain(two)
    if plain_one == plain_two:
        return plain_one
    found = _nested(plain_one, plain_two, on_conflict, column) or joined(plain_one, plain_two)
    return found or _resolved(plain_one, plain_two, on_conflict, column)


def is_nested(type_: pa.DataType) -> bool:
    """Whether values of the type hold other values."""
    return types.is_nested(type_) and not types.is_run_end_encoded(type_)


def writable(schema: pa.Schema, to: str = "") -> pa.Schema:
    """Return the schema with types that the format can write: a column that never held a value becomes string.

    So does a record that never held a field, {}, except in JSON. Without `to` the types are for any format.
    """
    empty = pa.struct([]) if to.startswith("json") else pa.string()
    return pa.schema([field.with_type(_writable(field.type, empty)) for field in schema])


def _writable(type_: pa.DataType, empty: pa.DataType) -> pa.DataType:
    if types.is_struct(type_):
        return pa.struct([field.with_type(_writable(field.type, empty)) for field in type_]) if len(type_) else empty
    if _is_list(type_):
        return list_of(type_, type_, _writable(type_.value_type, empty))
    if types.is_map(type_):
        return pa.map_(_writable(type_.key_type, empty), _writable(type_.item_type, empty))
    return pa.string() if types.is_null(type_) else type_


def _merged(one: Iterable[pa.Field], two: Iterable[pa.Field], on_conflict: OnConflict, path: str) -> list[pa.Field]:
    """Merge the fields of two schemas or structs; one that is missing somewhere may be null."""
    first, second = ({field.name: field for field in fields} for fields in (one, two))
    merged = []
    for name in first | second:
        if name in first and name in second:
            type_ = wider(first[name].type, second[name].type, on_conflict, f"{path}{name}")
            merged.append(pa.field(name, type_, first[name].nullable or second[name].nullable))
        else:
            merged.append((first.get(name) or second[name]).with_nullable(True))
    return merged


def _plain(type_: pa.DataType) -> pa.DataType:
    """Return the type of the values, without a way to store them that only equal types share."""
    if types.is_dictionary(type_) or types.is_run_end_encoded(type_):
        return _plain(type_.value_type)
    return _plain(type_.storage_type) if isinstance(type_, pa.BaseExtensionType) else type_


def _is_list(type_: pa.DataType) -> bool:
    return is_nested(type_) and hasattr(type_, "value_type")


def _nested(one: pa.DataType, two: pa.DataType, on_conflict: OnConflict, column: str) -> pa.DataType | None:
    if types.is_struct(one) and types.is_struct(two):
        return pa.struct(_merged(list(one), list(two), on_conflict, f"{column}."))
    if types.is_map(one) and types.is_map(two):
        keys = wider(one.key_type, two.key_type, on_conflict, column)
        return pa.map_(keys, wider(one.item_type, two.item_type, on_conflict, column))
    if _is_list(one) and _is_list(two):
        return list_of(one, two, wider(one.value_type, two.value_type, on_conflict, f"{column}[]"))
    return None


def _resolved(one: pa.DataType, two: pa.DataType, on_conflict: OnConflict, column: str) -> pa.DataType:
    """Resolve a conflict as was asked for."""
    if on_conflict == "widen" and types.is_date(one) != types.is_date(two):
        stamp = two if types.is_date(one) else one
        if types.is_timestamp(stamp) and not stamp.tz:
            return stamp
    nested = is_nested(one) or is_nested(two)
    if on_conflict == "fail" or (nested and on_conflict == "widen") or _holds_bytes(one) or _holds_bytes(two):
        raise ConflictError(
            "type-conflict",
            f"column {column!r} holds {shown_type(one)} and {shown_type(two)}",
            "Correct the data, name the column's type by --schema, or choose --on-conflict widen or string.",
            item=column,
        )
    return reduce(_longer, (type_ for type_ in (one, two) if is_text(type_)), pa.string())


def _longer(one: pa.DataType, two: pa.DataType) -> pa.DataType:
    return one if one == two else joined(one, two)


def _holds_bytes(type_: pa.DataType) -> bool:
    if is_nested(type_):
        return any(_holds_bytes(type_.field(place).type) for place in range(type_.num_fields))
    return is_bytes(type_)


def load_schema(path: str | Path) -> pa.Schema:
    """Read a schema that a user wrote: names and types as an object, or a list of {"name", "type", "nullable"}.

    Either may be under the key "columns", as in what `dump_schema` and a manifest hold. Raises UsageError.
    """
    try:
        return _schema(json.loads(Path(path).read_text(encoding="utf-8-sig"), object_pairs_hook=_unique))
    except OSError as error:
        raise UsageError("bad-schema", f"{path}: {error.strerror}", "Name a file that can be read.") from error
    except (ValueError, TypeError, RecursionError) as error:
        remedy = 'Write {"column": "type", …} with types such as int64, double, string, date32, timestamp[us, UTC].'
        raise UsageError("bad-schema", f"{path}: {error}", remedy) from error


def dump_schema(schema: pa.Schema) -> list[dict[str, Any]]:
    """Return the schema as JSON, such as `load_schema` reads."""
    return [
        {"name": field.name, "type": shown_type(field.type), **({} if field.nullable else {"nullable": False})}
        for field in schema
    ]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} occurs twice")
        found[name] = value
    return found


def _schema(written: Any) -> pa.Schema:
    if isinstance(written, dict) and isinstance(written.get("columns"), dict | list):
        written = written["columns"]
    if isinstance(written, dict):
        written = [{"name": name, "type": type_} for name, type_ in written.items()]
    if not isinstance(written, list) or not written:
        raise ValueError("there are no columns")
    fields = [_field(entry, f"column {number}") for number, entry in enumerate(written, 1)]
    _unique([(field.name, field) for field in fields])
    return pa.schema(fields)


def _field(entry: Any, place: str) -> pa.Field:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise TypeError(f"{place} has no name")
    place = f"{place} ({entry['name']!r})"
    if unknown := sorted(set(entry) - {"name", "type", "nullable"}):
        raise ValueError(f"{place} has an unknown key {unknown[0]!r}")
    if not isinstance(entry.get("type"), str) or not isinstance(entry.get("nullable", True), bool):
        raise TypeError(f"{place} needs a type as text; nullable is true or false")
    try:
        return pa.field(entry["name"], parsed_type(entry["type"]), entry.get("nullable", True))
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def unique_names(names: Sequence[str], *, rename: bool) -> tuple[tuple[str, ...], list[str]]:
    """Return unique names for the columns, and warnings for those without a name, which are named by position.

    A repeated name gets a number, where that is allowed, or is a SourceError.
    """
    taken, unique, warnings = set(names), dict[str, None](), []
    for place, name in enumerate(names, 1):
        if name in unique and not rename:
            raise SourceError(
                "duplicate-columns",
                f"two columns are called {name!r}",
                "Rename one, or number them with --duplicate-columns rename.",
                item=name,
            )
        chosen = name if name and name not in unique else _free(name or f"column{place}", taken)
        taken.add(chosen)
        unique[chosen] = None
        if not name:
            warnings.append(f"column {place} has no name; it is called {chosen!r}")
    return tuple(unique), warnings


def _free(name: str, taken: Container[str]) -> str:
    return next(free for free in chain([name], (f"{name}_{number}" for number in count(2))) if free not in taken)
