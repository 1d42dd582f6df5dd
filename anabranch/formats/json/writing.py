"""Write tables as JSON lines by Arrow's own functions, column by column and without the interpreter's lock."""

import base64
import json
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

from anabranch.core.errors import SourceError
from anabranch.schema.durations import spelled
from anabranch.schema.lattice import is_bytes, is_text
from anabranch.schema.plain import in_coarsest_unit, require_sayable

_TEXT = pa.large_string()  # a block of texts may be longer than 2 GiB
_ROWS = 1 << 16  # at a time: what they need stays near the processor
_FIRST_EXPONENT = 1e10  # from here on Arrow writes floating numbers with an exponent
_PRINTABLE = 0x20
_ESCAPES = {"\\": "\\\\", '"': '\\"'} | {chr(code): json.dumps(chr(code))[1:-1] for code in range(_PRINTABLE)}


def json_lines(table: pa.Table | pa.RecordBatch) -> bytes:
    """Write each row as a JSON object on a line of its own, in UTF-8, with all columns in their order.

    Null is null. Integers and decimals are exact numbers, floating ones the shortest that are read as the same, with a
    point or an exponent. Times are ISO 8601, with T and with Z for those in a time zone, in the coarsest unit that
    holds all of their column here; durations are like 36:00:00; binary is base64; a map is an object. Raises
    SourceError for NaN and infinity, which JSON cannot express.
    """
    if not table.num_columns:
        return b"{}\n" * int(table.num_rows)
    return b"".join(memoryview(_lines(batch)) for batch in _batches(table))


def _batches(table: pa.Table | pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    whole = table if isinstance(table, pa.Table) else pa.Table.from_batches([table])
    for start in range(0, whole.num_rows, _ROWS):
        yield from whole.slice(start, _ROWS).combine_chunks().to_batches()


def _lines(batch: pa.RecordBatch) -> pa.Buffer:
    names = batch.schema.names
    columns = [_texts(column, name) for name, column in zip(names, batch.columns, strict=True)]
    return _data(_object(names, columns, "}\n"))


def _data(texts: pa.LargeStringArray) -> pa.Buffer:
    """Return the bytes of all texts, one after the other."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return data.slice(int(ends[0]), int(ends[-1] - ends[0])) if data else pa.py_buffer(b"")


def _object(names: list[str], columns: list[pa.Array], end: str) -> pa.Array:
    parts: list[pa.Array | pa.Scalar] = []
    for place, (name, texts) in enumerate(zip(names, columns, strict=True)):
        parts += [_scalar(f"{',' if place else '{'}{json.dumps(name, ensure_ascii=False)}:"), texts]
    return _joined(*parts, _scalar(end))


def _scalar(text: str) -> pa.Scalar:
    return pa.scalar(text, _TEXT)


def _joined(*parts: pa.Array | pa.Scalar) -> pa.Array:
    return pc.binary_join_element_wise(*parts, _scalar(""))


def _texts(array: pa.Array, path: str) -> pa.Array:
    """Write each value as JSON."""
    if not isinstance(array.type, pa.BaseExtensionType):
        write = next((write for check, write in _WRITERS if check(array.type)), _number)
        texts = write(array, path)
        return texts if not array.null_count else pc.if_else(array.is_valid(), texts, _scalar("null"))
    return _texts(array.storage, path)


def _null(array: pa.Array, _: str) -> pa.Array:
    return pa.repeat(_scalar("null"), len(array))


def _bool(array: pa.Array, _: str) -> pa.Array:
    return pc.if_else(array, _scalar("true"), _scalar("false"))


def _number(array: pa.Array, _: str) -> pa.Array:
    return array.cast(_TEXT)


def _float(array: pa.Array, path: str) -> pa.Array:
    values = array.cast(pa.float64())
    if not pc.all(pc.is_finite(values), min_count=0).as_py():
        raise SourceError(
            "not-a-number",
            f"column {path!r} holds NaN or infinity, which JSON cannot express",
            "Write parquet, arrow or csv instead, or replace these values in the source.",
            item=path,
        )
    texts = array.cast(_TEXT)
    whole = pc.and_(pc.equal(pc.trunc(values), values), pc.less(pc.abs(values), _FIRST_EXPONENT))
    if not pc.any(whole).as_py():
        return texts
    return _joined(texts, pc.if_else(whole, _scalar(".0"), _scalar("")))  # else it would be read as an integer


def _duration(array: pa.Array, _: str) -> pa.Array:
    return _quoted(spelled(array).cast(_TEXT))


def _text(array: pa.Array, _: str) -> pa.Array:
    texts = array.cast(_TEXT)
    data = bytes(_data(texts))
    rare = bool((np.frombuffer(data, np.uint8) < _PRINTABLE).any())
    for letter, escape in _ESCAPES.items():
        if (rare or letter >= " ") and letter.encode() in data:
            texts = pc.replace_substring(texts, letter, escape)
    return _quoted(texts)


def _quoted(texts: pa.Array) -> pa.Array:
    return _joined(_scalar('"'), texts, _scalar('"'))


def _date(array: pa.Array, path: str) -> pa.Array:
    require_sayable(array, path)
    return _quoted(array.cast(_TEXT))


def _time(array: pa.Array, _: str) -> pa.Array:
    return _quoted(in_coarsest_unit(array).cast(_TEXT))


def _timestamp(array: pa.Array, path: str) -> pa.Array:
    require_sayable(array, path)
    return _quoted(pc.replace_substring(in_coarsest_unit(array).cast(_TEXT), " ", "T", max_replacements=1))


def _binary(array: pa.Array, _: str) -> pa.Array:
    values = array.cast(pa.large_binary()).to_pylist()
    return _quoted(pa.array([value and base64.b64encode(value).decode() for value in values], _TEXT))


def _struct(array: pa.Array, path: str) -> pa.Array:
    names = [field.name for field in array.type]
    columns = [_texts(column, f"{path}.{name}") for name, column in zip(names, array.flatten(), strict=True)]
    return _object(names, columns, "}") if names else pa.repeat(_scalar("{}"), len(array))


def _list(array: pa.Array, path: str) -> pa.Array:
    items = _texts(array.flatten(), f"{path}[]")
    lengths = pc.list_value_length(array).fill_null(0).to_numpy()
    return _joined(_scalar("["), _listed(lengths, items), _scalar("]"))


def _map(array: pa.Array, path: str) -> pa.Array:
    """Write a map as an object; a key that is not text becomes the text of its JSON."""
    # not cast to a list, which flattens: pyarrow 26 makes invalid lists of lists of nulls
    present = array.drop_null()  # a null may have entries as well
    offsets = present.offsets.to_numpy()
    lengths = np.zeros(len(array), np.int64)
    lengths[array.is_valid().to_numpy(zero_copy_only=False)] = np.diff(offsets)
    keys, values = (every.slice(offsets[0], offsets[-1] - offsets[0]) for every in (present.keys, present.items))
    names = _texts(keys, path)
    names = pc.if_else(pc.starts_with(names, '"'), names, _text(names, path))
    entries = _joined(names, _scalar(":"), _texts(values, f"{path}{{}}"))
    return _joined(_scalar("{"), _listed(lengths, entries), _scalar("}"))


def _listed(lengths: NDArray[np.int64], items: pa.Array) -> pa.Array:
    """Join so many items to each text, with commas."""
    ends = np.cumsum(lengths, dtype=np.int64)
    lists = pa.LargeListArray.from_arrays(pa.array(np.concatenate([[0], ends])), items)
    return pc.binary_join(lists, _scalar(","))


def _decoded(array: pa.Array, path: str) -> pa.Array:
    return _texts(pc.run_end_decode(array) if types.is_run_end_encoded(array.type) else array.dictionary_decode(), path)


_WRITERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array, str], pa.Array]], ...] = (
    (types.is_null, _null),
    (types.is_boolean, _bool),
    (types.is_floating, _float),
    (is_text, _text),
    (types.is_timestamp, _timestamp),
    (types.is_date, _date),
    (types.is_time, _time),
    (types.is_duration, _duration),
    (is_bytes, _binary),
    (types.is_struct, _struct),
    (types.is_map, _map),
    (lambda type_: types.is_dictionary(type_) or types.is_run_end_encoded(type_), _decoded),
    (types.is_nested, _list),
)
