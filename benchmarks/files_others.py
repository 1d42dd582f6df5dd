"""Convert files with one of the programs that people use now, each as fast as ten lines of it get.

    python -m benchmarks.files_others duckdb csv.gz --few few.csv.gz --output out orders-*.csv.gz

Prints the seconds that it took. Some import what they need only when they begin to convert, so each converts a small
file before that. All write Parquet with zstd of the same level, since their own defaults differ, and the types of
files_kinds.SCHEMAS; a program that does not take several files at once gets them side by side on threads. Of CSV each
gets its own fastest way to one file: all write the same values, but some more text (quotes, fractions of seconds).
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from anabranch.core.config import cores
from benchmarks.files_kinds import SCHEMAS, TARGETS

LEVEL = 1  # of zstd: that of pyarrow, of which we, iterabledata and dask make use, too
BLOCK = 8 << 20  # bytes of text that pyarrow reads at once; its own default makes far too small row groups

Schema = pa.Schema | None  # None: to be inferred from all rows
Converter = Callable[[Sequence[Path], Path, Schema], object]  # sources into a folder


def main() -> None:
    """Convert files of one kind into a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("kind", choices=TARGETS)
    parser.add_argument("--infer", action="store_true", help="let the program find the types, from all rows")
    parser.add_argument("--few", type=Path, required=True, help="a small file, to be converted before the clock starts")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("sources", type=Path, nargs="+")
    arguments = parser.parse_args()
    convert = PROGRAMS[arguments.program](arguments.kind)
    schema = None if arguments.infer else SCHEMAS[arguments.kind]
    with tempfile.TemporaryDirectory(dir=arguments.output.parent) as aside:
        convert([arguments.few], Path(aside), schema)
    start = time.perf_counter()
    convert(arguments.sources, arguments.output, schema)
    print(time.perf_counter() - start)


def each(kind: str, convert: Callable[[Path, Path, Schema], object]) -> Converter:
    """Convert several files side by side, with what converts one."""

    def converted(sources: Sequence[Path], folder: Path, schema: Schema) -> None:
        targets = [folder / f"{_stem(source)}.{TARGETS[kind]}" for source in sources]
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(partial(convert, schema=schema), sources, targets))

    return converted


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]


def _iterabledata(kind: str) -> Converter:
    from iterable.convert.core import bulk_convert

    def converted(sources: Sequence[Path], folder: Path, schema: Schema) -> None:  # noqa: ARG001  it takes none
        done = bulk_convert(
            str(sources[0].parent / f"*{''.join(sources[0].suffixes)}"),
            str(folder),
            to_ext=TARGETS[kind],
            parallel=True,
            workers=cores(),
            toiterableargs={"compression": "zstd"} if TARGETS[kind] == "parquet" else None,
        )
        if done.successful_files != len(sources):
            raise SystemExit(f"{done.failed_files} of {done.total_files} files failed: {done.errors}")

    return converted


def _pyarrow(kind: str) -> Converter:
    from pyarrow import csv, json
    from pyarrow import parquet as pq

    def delimited(source: Path, schema: Schema, *, threads: bool) -> Any:
        read = csv.ReadOptions(block_size=BLOCK, use_threads=threads)
        parse = csv.ParseOptions(newlines_in_values=True)
        return csv.open_csv(source, read, parse, csv.ConvertOptions(column_types=schema))

    def lines(source: Path, schema: Schema, *, threads: bool) -> Any:
        read = json.ReadOptions(block_size=BLOCK, use_threads=threads)
        return json.open_json(source, read, json.ParseOptions(explicit_schema=schema))

    def to_parquet(source: Path, target: Path, schema: Schema, *, threads: bool) -> None:
        opened = delimited if kind.startswith("csv") else lines
        with (
            opened(source, schema, threads=threads) as reader,
            pq.ParquetWriter(target, reader.schema, compression="zstd", compression_level=LEVEL) as writer,
        ):
            for batch in reader:
                writer.write_batch(batch)

    def to_csv(source: Path, target: Path, schema: Schema, *, threads: bool) -> None:
        with pq.ParquetFile(source) as file, csv.CSVWriter(target, schema or file.schema_arrow) as writer:
            for batch in file.iter_batches(use_threads=threads):
                writer.write_batch(batch)

    convert = to_csv if kind == "parquet" else to_parquet
    # one file alone gets all cores, several get one each
    return lambda sources, folder, schema: each(kind, partial(convert, threads=len(sources) == 1))(
        sources, folder, schema
    )


def _duckdb(kind: str) -> Converter:
    import duckdb

    how = (
        "format csv, header"
        if TARGETS[kind] == "csv"
        else f"format parquet, compression zstd, compression_level {LEVEL}"
    )

    def read(source: Path, schema: Schema) -> str:
        if kind == "parquet":
            return f"'{source}'"
        columns = {field.name: _sql_type(field.type) for field in schema} if schema else ""
        if kind.startswith("csv"):
            given = f"columns = {columns}, delim = ',', header = true, auto_detect = false, quote = '\"'"
            return f"read_csv('{source}', {given if columns else 'sample_size = -1'})"
        given = f"columns = {columns}" if columns else "sample_size = -1"
        return f"read_json('{source}', format = 'newline_delimited', {given})"

    def convert(source: Path, target: Path, schema: Schema) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"copy (from {read(source, schema)}) to '{target}' ({how})")

    connection = duckdb.connect(config={"threads": cores()})
    return each(kind, convert)


def _sql_type(type_: pa.DataType) -> str:
    if pa.types.is_list(type_):
        return f"{_sql_type(type_.value_type)}[]"
    if pa.types.is_struct(type_):
        members = ", ".join(f'"{field.name}" {_sql_type(field.type)}' for field in type_)
        return f"STRUCT({members})"
    return {"int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN", "string": "VARCHAR"}.get(str(type_), "TIMESTAMP")


def _polars(kind: str) -> Converter:
    os.environ.setdefault("POLARS_MAX_THREADS", str(cores()))
    import polars as pl

    def read(source: Path, schema: Schema) -> pl.LazyFrame:
        types = pl.Schema(schema) if schema else None
        if kind == "parquet":
            return pl.scan_parquet(source)
        if kind.startswith("csv"):
            return pl.scan_csv(source, schema=types, infer_schema_length=None, try_parse_dates=types is None)
        return pl.scan_ndjson(source, schema=types, infer_schema_length=None)

    def convert(source: Path, target: Path, schema: Schema) -> None:
        rows = read(source, schema)
        if TARGETS[kind] == "csv":
            rows.sink_csv(target)
        else:
            rows.sink_parquet(target, compression="zstd", compression_level=LEVEL)

    return each(kind, convert)


def _datafusion(kind: str) -> Converter:
    from datafusion import CsvReadOptions, DataFrameWriteOptions, SessionConfig, SessionContext

    context = SessionContext(SessionConfig().with_target_partitions(cores()))
    single = DataFrameWriteOptions(single_file_output=True)
    packed = {"file_extension": ".csv.gz", "file_compression_type": "gzip"} if kind == "csv.gz" else {}

    def read(source: Path, schema: Schema) -> Any:
        if kind == "parquet":
            return context.read_parquet(source)
        if kind.startswith("csv"):
            return context.read_csv(source, options=CsvReadOptions(schema=schema, newlines_in_values=True, **packed))
        return context.read_json(source, schema=schema, file_extension=".jsonl")

    def convert(source: Path, target: Path, schema: Schema) -> None:
        rows = read(source, schema)
        if TARGETS[kind] == "csv":
            rows.write_csv(target, with_header=True, write_options=single)
        else:
            rows.write_parquet(target, "zstd", LEVEL, write_options=single)

    return each(kind, convert)


def _dask(kind: str) -> Converter:
    import dask.dataframe as dd

    def read(sources: Sequence[Path], schema: pa.Schema) -> Any:
        if kind == "parquet":
            return dd.read_parquet(sources)
        types = {field.name: _pandas_type(field.type) for field in schema if not pa.types.is_timestamp(field.type)}
        dates = [field.name for field in schema if pa.types.is_timestamp(field.type)]
        if kind.startswith("csv"):
            # cut into blocks, it would cut quoted line breaks, too
            packed = "gzip" if kind == "csv.gz" else None
            return dd.read_csv(sources, blocksize=None, compression=packed, dtype=types, parse_dates=dates)
        return dd.read_json(sources, lines=True, blocksize=BLOCK, dtype=types, convert_dates=False, precise_float=True)

    def converted(sources: Sequence[Path], folder: Path, schema: Schema) -> None:
        rows = read([str(source) for source in sources], schema)
        if TARGETS[kind] == "csv":
            rows.to_csv(str(folder / f"{_stem(sources[0])}.csv"), single_file=True, index=False)
        else:
            rows.to_parquet(str(folder / "orders"), compression="zstd", compression_level=LEVEL, write_index=False)

    return converted


def _pandas_type(type_: pa.DataType) -> str:
    return {"double": "float64", "string": "string[pyarrow]"}.get(str(type_), str(type_))


PROGRAMS: Mapping[str, Callable[[str], Converter]] = {
    "iterabledata": _iterabledata,
    "pyarrow": _pyarrow,
    "duckdb": _duckdb,
    "polars": _polars,
    "datafusion": _datafusion,
    "dask": _dask,
}

if __name__ == "__main__":
    main()
