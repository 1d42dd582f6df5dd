"""Write tests/data/files: the same few rows in many formats, each by a library that does not read them here.

python -m tests.files.make_cases
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import fastavro
import openpyxl
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq

from tests.files.packing import PACK

FOLDER = Path(__file__).parent.parent / "data" / "files"
TYPED: list[dict[str, Any]] = [
    {"id": 1, "name": "Jürgen", "city": "Köln", "amount": 12.5, "paid": True},
    {"id": 2, "name": 'Anna "Ann"', "city": "Łódź", "amount": 0.25, "paid": False},
    {"id": 3, "name": "O'Hara, Kate", "city": "Cork\nIreland", "amount": -7.0, "paid": True},
    {"id": 9007199254740993, "name": "Иван", "city": None, "amount": None, "paid": None},
]
EXACT = TYPED[:3]  # all numbers of a spreadsheet are doubles, which have no place for the fourth id
RUSSIAN = [{"номер": "1", "имя": "Иван", "город": "Тверь"}, {"номер": "2", "имя": "Анна", "город": ""}]
NESTED: list[dict[str, Any]] = [
    {"id": 1, "user": {"name": "Jürgen", "tags": ["a", "b"]}, "visits": [{"page": "/", "seconds": 1.5}]},
    {"id": 2, "user": {"name": "Anna", "tags": []}, "visits": []},
]
BOOKS = [
    {"title": {"@lang": "en", "#text": "Rivers & lakes"}, "price": "30.00", "@shelf": "A"},
    {"title": {"@lang": "de", "#text": "Über Brücken"}, "price": "29.99", "@shelf": "B"},
]
XML = """<?xml version="1.0" encoding="UTF-8"?>
<library>
  <book shelf="A"><title lang="en">Rivers &amp; lakes</title><price>30.00</price></book>
  <book shelf="B"><title lang="de">Über Brücken</title><price>29.99</price></book>
</library>
"""


def main() -> None:
    """Write all files and their manifest."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    cases = [case for family in (delimited(), lines(), columnar(), others()) for case in family]
    (FOLDER / "manifest.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n", "utf-8")


def delimited() -> Iterable[dict[str, Any]]:
    rows = [{name: shown(value) for name, value in row.items()} for row in TYPED]
    plain = csv_bytes(rows)
    yield case("people.csv", plain, rows)
    for codec in PACK:
        yield case(f"people.csv.{codec}", PACK[codec](plain), rows)
    yield case("people_semicolon.csv", csv_bytes(rows, delimiter=";"), rows)
    yield case("people.tsv", csv_bytes(rows, delimiter="\t"), rows)
    yield case("people_crlf.csv", csv_bytes(rows, lineterminator="\r\n"), rows)
    yield case("people_crcrlf.csv", csv_bytes(rows, lineterminator="\r\r\n"), rows)
    yield case("people_utf16.csv", plain.decode().encode("utf-16"), rows)
    yield case("russian_cp1251.csv", csv_bytes(RUSSIAN).decode().encode("cp1251"), RUSSIAN, encoding="cp1251")


def lines() -> Iterable[dict[str, Any]]:
    yield case("people.jsonl", b"".join(map(dumped, TYPED)), TYPED)
    yield case("people.json", json.dumps(TYPED, ensure_ascii=False, indent=2).encode(), TYPED)
    yield case("nested.jsonl", b"".join(map(dumped, NESTED)), NESTED)


def columnar() -> Iterable[dict[str, Any]]:
    for name, rows in (("people", TYPED), ("nested", NESTED)):
        table = pa.Table.from_pylist(rows)
        yield case(f"{name}.parquet", written(pq.write_table, table), rows)
        yield case(f"{name}.arrow", written(pyarrow.feather.write_feather, table), rows)
        yield case(f"{name}.orc", written(pyarrow.orc.write_table, table), rows)


def others() -> Iterable[dict[str, Any]]:
    yield case("people.avro", avro_bytes(), TYPED)
    yield case("people.xlsx", excel_bytes(), EXACT)
    yield case("books.xml", XML.encode(), BOOKS, tagname="book")


def case(name: str, data: bytes, rows: list[Mapping[str, Any]], **arguments: str) -> dict[str, Any]:
    """Write a file; give its entry in the manifest, in the form that the recorded ones of other origin have."""
    (FOLDER / name).write_bytes(data)
    by = {"by": "tests.files.make_cases", "args": arguments, "rows": len(rows), "columns": list(rows[0])}
    return {"file": name, "bytes": len(data), "reader1": by, "values": rows}


def shown(value: Any) -> str:
    return "" if value is None else json.dumps(value) if isinstance(value, bool) else str(value)


def csv_bytes(rows: list[dict[str, str]], delimiter: str = ",", lineterminator: str = "\n") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator=lineterminator)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def dumped(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def written(write: Any, table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    write(table, out)
    return out.getvalue().to_pybytes()


def avro_bytes() -> bytes:
    kinds = {"id": "long", "name": "string", "city": "string", "amount": "double", "paid": "boolean"}
    fields = [{"name": name, "type": ["null", kind]} for name, kind in kinds.items()]
    out = io.BytesIO()
    fastavro.writer(out, {"type": "record", "name": "person", "fields": fields}, TYPED, sync_marker=b"0" * 16)
    return out.getvalue()


def excel_bytes() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(TYPED[0]))
    for row in EXACT:
        sheet.append(list(row.values()))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


if __name__ == "__main__":
    main()
