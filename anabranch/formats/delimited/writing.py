"""Write tables as delimited text: null is an empty cell, every text is quoted, nested values are JSON."""

import base64
import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.types as kinds

from anabranch.formats.json.writing import json_lines
from anabranch.schema.durations import spelled
from anabranch.schema.plain import in_coarsest_unit, require_sayable

_ROWS_AT_ONCE = 4 << 10  # a tenth faster than pyarrow's own 1 Ki
_LONGEST_CELL = 64  # characters of a value that is not text, with all that is put around it


def csv_header(names: list[str], delimiter: str) -> bytes:
    """Write the line of the columns' names, quoted where a reader would take them apart."""
    return (delimiter.join(_quoted(name, delimiter) for name in names) + "\n").encode()


def csv_rows(table: pa.Table, delimiter: str) -> memoryview:
    """Write the rows of a table, each ended by a newline.

    Timestamps are ISO with a space, those with a time zone in UTC with a Z, and have the fewest digits that hold the
    block's values; durations are like 36:00:00. Binary values are base64. In a table of one column null is written as
    "", too, since an empty line would not be a row.
    """
    plain = pa.table(
        [_plain(*pair) for pair in zip(table.columns, table.column_names, strict=True)], names=table.column_names
    )
    if plain.num_columns == 1:
        plain = pa.table([pc.fill_null(plain.column(0).cast(pa.string()), "")], names=plain.column_names)
    return _written(
        plain,
        pyarrow.csv.WriteOptions(
            include_header=False, delimiter=delimiter, quoting_style="needed", batch_size=_ROWS_AT_ONCE
        ),
    )


def _written(table: pa.Table, options: pyarrow.csv.WriteOptions) -> memoryview:
    """Write into room for more than the text: where a buffer grows with it, it is copied again and again."""
    room = pa.allocate_buffer(2 * table.get_total_buffer_size() + _LONGEST_CELL * table.num_rows * table.num_columns)
    with pa.FixedSizeBufferWriter(room) as out:
        pyarrow.csv.write_csv(table, out, options)
        return memoryview(room)[: out.tell()]


def _quoted(name: str, delimiter: str) -> str:
    if name and not any(letter in name for letter in f'{delimiter}"\r\n'):
        return name
    return '"' + name.replace('"', '""') + '"'


def _plain(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return a column that pyarrow writes as we want it read."""
    kind = column.type
    if kinds.is_date(kind) or kinds.is_timestamp(kind):
        require_sayable(column, name)
    if kinds.is_nested(kind):
        return as_json(column, name)
    if kinds.is_timestamp(kind) or kinds.is_time(kind) or kinds.is_duration(kind):
        return pa.chunked_array([spelled(column)]) if kinds.is_duration(kind) else in_coarsest_unit(column)
    if kinds.is_decimal(kind):
        return without_exponent(column)
    if kinds.is_floating(kind):
        return _with_negative_zero(column)
    if kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_fixed_size_binary(kind):
        texts = [None if value is None else base64.b64encode(value).decode() for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    return column


def as_json(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Write nested values as JSON."""
    lines = bytes(json_lines(pa.table({name: column}))).splitlines()
    before, behind = len(f"{{{json.dumps(name, ensure_ascii=False)}:".encode()), len(b"}")
    texts = pa.array([line[before:-behind] for line in lines], pa.string())
    return pa.chunked_array([pc.if_else(column.is_valid().combine_chunks(), texts, None)])


def without_exponent(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Spell out decimals that pyarrow would write like 0E-10."""
    texts = column.cast(pa.string()).combine_chunks()
    short = pc.match_substring(texts, "E")
    if not pc.any(short).as_py():
        return column
    spelled = pa.array([f"{value:f}" for value in column.filter(short).to_pylist()], pa.string())
    return pa.chunked_array([pc.replace_with_mask(texts, pc.fill_null(short, fill_value=False), spelled)])


def _with_negative_zero(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write -0.0 as such, since -0 is not a number to a reader who keeps what it reads."""
    negative_zero = pc.and_(pc.equal(column, 0), pc.less(pc.divide(1, column), 0))
    if not pc.any(negative_zero).as_py():
        return column
    return pc.if_else(negative_zero, "-0.0", column.cast(pa.string()))
