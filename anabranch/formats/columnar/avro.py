"""Read avro files as record batches of the types that their schema names."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO, Any
from uuid import UUID

import fastavro
import pyarrow as pa
from fastavro.schema import expand_schema

from anabranch.core.errors import SourceError
from anabranch.schema.lattice import decimal
from anabranch.schema.records import as_text

_ROWS = 8 << 10  # of a batch

_PLAIN = {
    "null": pa.null(), "boolean": pa.bool_(), "int": pa.int32(), "long": pa.int64(), "float": pa.float32(),
    "double": pa.float64(), "bytes": pa.binary(), "string": pa.string(),
}  # fmt: skip
_LOGICAL = {
    "date": pa.date32(), "time-millis": pa.time64("us"), "time-micros": pa.time64("us"), "uuid": pa.string(),
    "timestamp-millis": pa.timestamp("us", "UTC"), "timestamp-micros": pa.timestamp("us", "UTC"),
    "local-timestamp-millis": pa.timestamp("us"), "local-timestamp-micros": pa.timestamp("us"),
}  # fmt: skip


class AvroFile:
    """An avro file whose records become rows, and whose records' fields become columns."""

    warnings: tuple[str, ...] = ()

    def __init__(self, file: IO[bytes], *_: object) -> None:
        self._records: Any = fastavro.reader(file)  # its stubs do not know that a record is a dict
        written = self._records.writer_schema
        if not isinstance(written, dict) or written.get("type") != "record":
            raise SourceError("not-records", "the avro file holds no records", "Leave it out.")
        self.schema = pa.schema(list(_type(expand_schema(written))))

    def units(self) -> tuple[int, ...]:
        """Cut nothing: its blocks are small, and only found by reading them all."""
        return ()

    def batches(self, *_: object) -> Iterator[pa.RecordBatch]:
        """Yield all records."""
        while records := list(islice(self._records, _ROWS)):
            columns = [
                pa.array([_value(record[field.name], field.type) for record in records], field.type)
                for field in self.schema
            ]
            yield pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _type(written: Any) -> pa.DataType:
    """Return the type of an expanded avro schema: a name, a list of choices, or an object."""
    if isinstance(written, list):
        return _choice([part for part in written if part != "null"])
    if isinstance(written, str):
        return _PLAIN.get(written) or _within_itself(written)
    logical = written.get("logicalType")
    if logical == "decimal":
        return decimal(written["precision"], written.get("scale", 0))
    return _LOGICAL.get(logical) or _complex(written)


def _complex(written: Mapping[str, Any]) -> pa.DataType:
    match written["type"]:
        case "record":
            return pa.struct([(field["name"], _type(field["type"])) for field in written["fields"]])
        case "array":
            return pa.list_(_type(written["items"]))
        case "map":
            return pa.map_(pa.string(), _type(written["values"]))
        case "enum":
            return pa.string()
        case "fixed":
            return pa.binary(written["size"])
        case inner:
            return _type(inner)


def _choice(parts: list[Any]) -> pa.DataType:
    """Return the type for values of one kind or another: text, where no number holds all."""
    if len(parts) == 1:
        return _type(parts[0])
    if not parts:
        return pa.null()
    wholes = all(part in ("int", "long") for part in parts)
    floats = all(part in ("float", "double") for part in parts)
    return pa.int64() if wholes else pa.float64() if floats else pa.string()


def _within_itself(name: str) -> pa.DataType:
    raise SourceError(
        "type-not-read", f"the type {name!r} holds itself, which no column can", "Leave the source out.", item=name
    )


def _value(value: Any, kind: pa.DataType) -> Any:
    """Turn a value that fastavro gives into what pyarrow takes for the type."""
    if value is None:
        return None
    if kind == pa.string():
        return str(value) if isinstance(value, UUID) else as_text(value)
    if pa.types.is_struct(kind):
        return {field.name: _value(value[field.name], field.type) for field in kind}
    if pa.types.is_map(kind):
        return [(key, _value(item, kind.item_type)) for key, item in value.items()]
    if pa.types.is_list(kind):
        return [_value(item, kind.value_type) for item in value]
    return value
