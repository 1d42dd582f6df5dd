"""Write orc files: of arrow segments, since what is encoded as orc cannot be concatenated."""

from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa
from pyarrow import orc, types

from anabranch.formats.segments import damage_noticed
from anabranch.schema.plain import cast_columns, with_leaves

_COMPRESSIONS = {"gzip": "zlib", "none": "uncompressed"}  # by orc's names, where they differ from ours


def join_orc(segments: Sequence[Path], out: IO[bytes], schema: pa.Schema, compression: str) -> int:
    """Write one orc file of arrow files' record batches, in their order; return the rows.

    What orc has no type for becomes the next that holds it: unsigned integers wider ones, a duration its number, times
    and decimals of more than 38 digits text.
    """
    wanted = orc_schema(schema)
    rows = 0
    with orc.ORCWriter(out, compression=_COMPRESSIONS.get(compression, compression)) as writer:
        writer.write(wanted.empty_table())  # so that a file without rows has its columns, too
        for path in segments:
            with pa.memory_map(str(path)) as file, damage_noticed(path.name):
                reader = pa.ipc.open_file(file)
                for index in range(reader.num_record_batches):
                    table = pa.Table.from_batches([reader.get_batch(index)])
                    writer.write(cast_columns(table, wanted))
                    rows += table.num_rows
    return rows


def orc_schema(schema: pa.Schema) -> pa.Schema:
    """Return the types that an orc file of this schema has."""
    return with_leaves(schema, _orc_type)


def _orc_type(kind: pa.DataType) -> pa.DataType:
    if kind == pa.uint64():
        return pa.decimal128(20, 0)
    if types.is_time(kind) or types.is_decimal256(kind) or types.is_null(kind):
        return pa.string()
    return {
        pa.uint8(): pa.int16(),
        pa.uint16(): pa.int32(),
        pa.uint32(): pa.int64(),
        pa.date64(): pa.date32(),
        **{pa.duration(unit): pa.int64() for unit in ("s", "ms", "us", "ns")},
    }.get(kind, kind)
