"""Data files damaged at random: a conversion ends with a report, in bounded time and memory, and loses no row."""

import bz2
import csv
import gzip
import io
import random
import re
import shutil

import fastavro
import openpyxl
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from anabranch.files.manifest import read_record
from tests.bounded import bounded
from tests.examples import SOAK_EXAMPLES
from tests.files.converting import convert
from tests.files.small import small_scale

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

RECORDS = [{"id": n, "name": f'n"{n % 7}"\n,' if n % 5 else "é", "amount": n / 4} for n in range(300)]
TABLE = pa.Table.from_pylist(RECORDS)
TARGETS = ("parquet", "csv.gz", "jsonl", "json", "arrow", "orc")
UNPACK = {
    "csv": (re.compile(b""), bytes),
    "csv.gz": (re.compile(rb"\x1f\x8b\x08"), gzip.decompress),
    "csv.bz2": (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), bz2.decompress),
}
WAYS = ("flip", "cut out", "insert", "double", "swap", "cut off")


def _csv():
    out = io.StringIO()
    writer = csv.DictWriter(out, list(RECORDS[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(RECORDS)
    return out.getvalue().encode()


def _written(write):
    out = io.BytesIO()
    write(out)
    return out.getvalue()


def _arrow(out):
    with pa.ipc.new_file(out, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=70)


def _avro(out):
    fields = [{"name": "id", "type": "long"}, {"name": "name", "type": "string"}, {"name": "amount", "type": "double"}]
    fastavro.writer(out, {"type": "record", "name": "row", "fields": fields}, RECORDS, sync_interval=2000)


def _xlsx(out):
    book = openpyxl.Workbook()
    for row in [list(RECORDS[0]), *(list(record.values()) for record in RECORDS[:40])]:
        book.active.append(row)
    book.save(out)


LINES = b"".join(orjson.dumps(record) + b"\n" for record in RECORDS)
WHOLE = {
    "csv": _csv(),
    "csv.gz": gzip.compress(_csv()[:4000]) + gzip.compress(_csv()[4000:]),
    "csv.bz2": bz2.compress(_csv(), 1),
    "jsonl": LINES,
    "json": orjson.dumps(RECORDS),
    "parquet": _written(lambda out: pq.write_table(TABLE, out, row_group_size=70)),
    "arrow": _written(_arrow),
    "orc": _written(lambda out: orc.write_table(TABLE, out)),
    "avro": _written(_avro),
    "xlsx": _written(_xlsx),
}


@pytest.mark.parametrize("suffix", WHOLE)
def test_a_damaged_file_ends_in_a_report_that_accounts_for_every_row(tmp_path, suffix):
    source = tmp_path / f"some.{suffix}"
    for seed in range(SOAK_EXAMPLES):
        generator = random.Random(seed)
        source.write_bytes(_damaged(WHOLE[suffix], generator))
        options = {
            "to": generator.choice(TARGETS),
            "on_conflict": generator.choice(["fail", "widen", "string"]),
            "on_bad_row": generator.choice(["fail", "quarantine"]),
        }
        folder = tmp_path / str(seed)

        with small_scale(block=generator.choice([300, 3000, 1 << 20])):
            ended = bounded(lambda: _check(source, suffix, folder, options), tmp_path)  # noqa: B023
        assert not ended, f"seed {seed}, {options}: {ended}"
        shutil.rmtree(folder, ignore_errors=True)


def _check(source, suffix, folder, options):
    report = convert(source, folder / "out", work_dir=folder / "work", threads=3, **options)
    for error in report.errors:
        assert all((error.code, error.part, error.reason, error.remedy))
        assert error.code not in ("unexpected", "accounting", "segment-damaged")
    assert report.items["converted"] + report.items["failed"] == 1 or "is empty" in str(report.warnings)
    for entry in read_record(folder / "out/manifest.json").outputs:
        expected = _rows(source.read_bytes(), suffix)
        assert expected in (None, entry.rows + report.items["rows_set_aside"])


def _rows(data, suffix):
    """Count the rows as an independent reader does; None where it cannot, or what it reads is a matter of taste."""
    if suffix == "json":
        return None
    if suffix == "jsonl":
        return sum(bool(line.strip(b" \t\r")) for line in data.split(b"\n"))
    if suffix in UNPACK:
        begin, unpack = UNPACK[suffix]
        text = (unpack if begin.match(data) else bytes)(data)  # a damaged begin may leave what passes for text
        return None if b"\r" in text else _csv_rows(text.decode("latin-1"))
    return None


def _csv_rows(text):
    """Count the records after the header, where every quote opens, closes or doubles as it should."""
    try:
        records = sum(bool(row) for row in csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return None
    return records - 1


def _damaged(data, generator):
    """Flip, cut out, insert, double or swap bytes, at one to three places; one file in twenty stays whole."""
    data = bytearray(data)
    for _ in range(generator.choice([1, 1, 2, 3]) if generator.random() < 0.95 else 0):
        place, size = generator.randrange(len(data)), generator.choice([1, 1, 2, 9, 100, 1000])
        match generator.choice(WAYS):
            case "flip":
                data[place] ^= 1 << generator.randrange(8)
            case "cut out" if len(data) > size:
                del data[place : place + size]
            case "insert":
                data[place:place] = generator.choice([generator.randbytes(size), b'"', b"\n", b"\0", b",", b"\xff"])
            case "double":
                data[place:place] = data[place : place + size]
            case "swap":
                other = generator.randrange(len(data))
                data[place : place + size], data[other : other + size] = (
                    data[other : other + size],
                    data[place : place + size],
                )
            case "cut off" if len(data) > 1:
                del data[place:]
        data = data or bytearray(b"\n")
    return bytes(data)
