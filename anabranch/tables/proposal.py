"""The table to import into: as it is, or as it is to be made."""

from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
from pyarrow import types

from anabranch.core.errors import UsageError
from anabranch.formats.catalogue import File
from anabranch.tables.mapping import Given
from anabranch.tables.options import ImportOptions
from anabranch.tables.stores.base import Store
from anabranch.tables.target import Column, ColumnType, Kind, TableName, Target

_RECORDS = ("json", "jsonl")
_PLAIN: tuple[tuple[Callable[[pa.DataType], bool], Kind], ...] = (
    (types.is_integer, "bigint"),
    (types.is_boolean, "boolean"),
    (types.is_date, "date"),
    (types.is_time, "time"),
)


def target_for(
    store: Store, table: TableName, files: Sequence[File], given: Mapping[str, Given], options: ImportOptions
) -> Target:
    """Look at the table; where there is none, propose one that holds the files, if one is to be made."""
    target = store.describe(table)
    if target.exists:
        return target
    if not options.create_table:
        raise UsageError(
            "no-table", f"there is no table {table}", "Correct --table, or create it with --create-table.", str(table)
        )
    return Target(target.table, tuple(_columns(files, given, options)), exists=False)


def _columns(files: Sequence[File], given: Mapping[str, Given], options: ImportOptions) -> list[Column]:
    found: dict[str, Column] = {}
    for file in files:
        named = {one.source or name: name for name, one in given.items()}
        for field in file.look.schema:
            source = field.name if field.name in named else field.name.strip()
            name = named.get(source, source)
            kind = _kind(field.type, text=file.look.dialect is not None and file.look.format != "excel")
            found.setdefault(name, Column(name, kind, name not in options.key))
    for name, one in given.items():
        known = found[name].type if name in found else None
        kind = ColumnType.parse(one.type) if one.type else known or ColumnType("text")
        nullable = one.nullable if one.nullable is not None else name not in options.key
        found[name] = Column(name, kind, nullable)
    if given and any(file.look.format in _RECORDS for file in files):  # whose keys paths lead into
        heads = {(one.source or name).split(".")[0] for name, one in given.items()} - set(given)
        return [column for name, column in found.items() if name not in heads]
    return list(found.values())


def _kind(kind: pa.DataType, *, text: bool) -> ColumnType:
    """Propose a column for values of a type; numbers with a fraction that are written as text stay exact."""
    if types.is_decimal(kind):
        return ColumnType("numeric", None, kind.precision, kind.scale)
    if types.is_timestamp(kind):
        return ColumnType("timestamptz" if kind.tz else "timestamp")
    if types.is_floating(kind):
        return ColumnType("numeric" if text else "double")
    return next((ColumnType(name) for fits, name in _PLAIN if fits(kind)), ColumnType("text"))
