"""Every bad input that other tools were seen to get wrong: how it is made, and what a conversion must make of it.

What must be large is as large as it takes to come after the rows that decide the types; LATE says where.
"""

import datetime as dt
import io
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import openpyxl
import pyarrow as pa

from tests.files.packing import ALL as PACK

DATA = Path(__file__).parent.parent / "data" / "files" / "bad"
LATE = 20_001  # the row, counted from 1, of what is wrong far after the head
IDS, NAMES = {"id": "int64"}, {"id": "int64", "name": "string"}


@dataclass(frozen=True)
class BadInput:
    """One input, and its outcome: an error, or rows."""

    name: str
    make: Callable[[Path], object]  # puts files into a folder
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str = "*"  # what of the folder is converted
    output: str = "../out"  # from there
    code: str = ""  # of the error; none: everything is converted
    says: Sequence[str] = ()  # in the error's reason
    refused: bool = False  # the error is raised, and nothing is done
    rows: int | None = None  # of all outputs; None: there is none
    types: Mapping[str, str] | None = None
    values: Sequence[Mapping[str, Any]] | None = None
    aside: Sequence[int] = ()  # rows in the quarantine, counted from 1
    warns: str = ""  # in the run's warnings
    bounds: Mapping[str, int] = field(default_factory=dict)  # those that are too far away for a test


def text(content: str | bytes, name: str = "a.csv") -> Callable[[Path], object]:
    """Write a file of that content."""
    data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    return lambda folder: _written(folder / name, data)


def _written(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def packed(content: bytes, name: str = "a.csv.gz", behind: bytes = b"", codec: str = "gz") -> Callable[[Path], object]:
    return text(PACK[codec](content) + behind, name)


def stored(name: str) -> Callable[[Path], object]:
    return lambda folder: shutil.copyfile(DATA / name, folder / name)


def several(*makers: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda folder: [make(folder) for make in makers]


def late(last: str, name: str = "a.csv", head: str = "id,name\n", line: str = "{0},n{0}\n") -> Callable[[Path], object]:
    """Write LATE rows, the last of which is `last`."""
    return text(head + "".join(line.format(number) for number in range(1, LATE)) + last, name)


def late_key(last: str) -> Callable[[Path], object]:
    return late(last, "a.jsonl", "", '{{"id": {0}}}\n')


def wide(columns: int) -> Callable[[Path], object]:
    names, cells = (",".join(f"{begin}{number}" for number in range(columns)) for begin in ("c", ""))
    return text(f"{names}\n{cells}\n{cells}\n")


def loop(folder: Path) -> None:
    (folder / "a.csv").symlink_to("b.csv")
    (folder / "b.csv").symlink_to("a.csv")
    _written(folder / "c.csv", b"id\n1\n")


def zipped(content: bytes, *names: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, content)

    return make


def cut_zip(folder: Path) -> None:
    zipped(b"id\n1\n", "a.csv")(folder)
    path = folder / "a.zip"
    path.write_bytes(path.read_bytes()[:-30])


def avro(codec: str) -> Callable[[Path], object]:
    """Write two records; what names a codec that is not installed was written with none."""
    fields = [{"name": "id", "type": "long"}, {"name": "name", "type": "string"}]
    out = io.BytesIO()
    schema = {"type": "record", "name": "row", "fields": fields}
    fastavro.writer(out, schema, TWO, codec="snappy" if codec == "snappy" else "null")
    named = out.getvalue().replace(b"\x08null", bytes([2 * len(codec)]) + codec.encode(), 1)
    return text(named if codec != "snappy" else out.getvalue(), "a.avro")


def sheets(content: Mapping[str, Sequence[Sequence[Any]]]) -> Callable[[Path], object]:
    """Write a workbook; a minus before its name hides a sheet."""

    def make(folder: Path) -> None:
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, rows in content.items():
            sheet = book.create_sheet(name.removeprefix("-"))
            sheet.sheet_state = "hidden" if name.startswith("-") else "visible"
            for row in rows:
                sheet.append(row)
        book.active = len(book.sheetnames) - 1
        book.save(folder / "a.xlsx")

    return make


def arrow_stream(name: str) -> Callable[[Path], object]:
    table, sink = pa.Table.from_pylist(TWO), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    return text(sink.getvalue().to_pybytes(), name)


ONE = [{"id": 1, "name": "a"}]
TWO = [*ONE, {"id": 2, "name": "b"}]
QUOTED = [{"id": 1, "name": "a\nb"}, {"id": 2, "name": 'c "q", d'}]
PLAIN = "id,name\n1,a\n2,b\n"
NULLS = 'id,text\n1,NA\n2,NULL\n3,nan\n4,""\n5,\n'
BOMB = b"id\n" + b"7\n" * 2_000_000
UNCLOSED = PLAIN + '3,"c\n' + "4,d\n" * 3000
UNFIT = ("id", "oops", "int64", "string")

BAD_INPUTS = [
    BadInput("01 gz cut off", stored("01_trunc.csv.gz"), code="source-damaged", says=("byte 26320", "79331")),
    BadInput(
        "02 neither gz nor text", text("id,name\n\0\1", "a.csv.gz"), code="source-damaged", says=("neither a gz file",)
    ),
    BadInput(
        "02 UTF-16 without a mark", text("имя;id\n1;2\n".encode("utf-16-be")), code="header-encoding", says=("NUL",)
    ),
    BadInput("02 binary called csv", text(b"PK\3\4\0\0\0\n"), code="header-encoding", says=("NUL",)),
    BadInput("02 text called gz", text(PLAIN, "a.csv.gz"), rows=2, values=TWO, warns="its name says gz"),
    BadInput("02 gz called csv", packed(PLAIN.encode(), "a.csv"), rows=2, values=TWO, warns="its content gz"),
    BadInput("02 packed twice", packed(PACK["xz"](PLAIN.encode())), code="format-unknown", says=("xz within gz",)),
    BadInput("02 gz and padding", packed(PLAIN.encode(), behind=bytes(512)), rows=2, values=TWO),
    BadInput("03 empty", stored("03_empty.csv"), warns="03_empty.csv is empty"),
    BadInput("03 empty, not allowed", stored("03_empty.csv"), {"on_empty": "fail"}, code="empty-source"),
    BadInput("04 header only", text("id,name\n"), rows=0, types={"id": "string", "name": "string"}),
    BadInput("05 short row", stored("05_ragged_short.csv"), code="bad-row", says=("row 5001", "2", "3")),
    BadInput("05 long row", late("20001,n,more\n"), code="bad-row", says=(f"row {LATE}", "3", "2")),
    BadInput(
        "05 rows set aside",
        late("1,n,more\n2\n3,n3\n"),
        {"on_bad_row": "quarantine"},
        rows=LATE,
        types=NAMES,
        aside=(LATE, LATE + 1),
    ),
    BadInput("06 no UTF-8", text(b"id,name\n1,a\n2,\xe9t\xe9\n"), code="bad-row", says=("row 2", "byte", "name")),
    BadInput("06 no UTF-8 late", late("1,\udcff\n"), code="bad-row", says=(f"row {LATE}", "byte 237796", "name")),
    BadInput(
        "06 no UTF-8, encoding named",
        text(b"id,name\n1,a\n2,\xe9t\xe9\n"),
        {"encoding": "latin-1"},
        rows=2,
        values=[*ONE, {"id": 2, "name": "été"}],
    ),
    BadInput("07 text late", late("oops,x\n"), code="type-conflict", says=(f"row {LATE}", *UNFIT)),
    BadInput(
        "07 text late, string", late("oops,x\n"), {"on_conflict": "string"}, rows=LATE, types={**NAMES, "id": "string"}
    ),
    BadInput("07b float late", late("1.5,x\n"), rows=LATE, types={**NAMES, "id": "double"}),
    BadInput(
        "07b float late, types of the head kept",
        late("1.5,x\n"),
        {"infer": "sample:1000"},
        code="type-conflict",
        says=(f"row {LATE}", "id", "1.5", "int64", "double"),
    ),
    BadInput("08 two columns of one name", stored("08_dupcols.csv"), code="duplicate-columns", says=("id",)),
    BadInput(
        "08 two columns of one name, renamed",
        stored("08_dupcols.csv"),
        {"duplicate_columns": "rename"},
        rows=2,
        values=[{"id": 1, "id_2": 2, "name": "a"}, {"id": 3, "id_2": 4, "name": "b"}],
    ),
    BadInput(
        "09 columns by the thousand", wide(3_000), rows=2, types={f"c{number}": "int64" for number in range(3_000)}
    ),
    BadInput("10 NUL in a cell", text("id,name\n1,a\0b\n"), rows=1, values=[{"id": 1, "name": "a\0b"}], warns="NUL"),
    BadInput("11 quoted newlines", stored("12_quoted_nl.csv"), rows=2, values=QUOTED),
    BadInput("11 quoted newlines in every block", late('1,"a\nb"\n', line='{0},"a\n{0}"\n'), rows=LATE, types=NAMES),
    BadInput("12 quote open at the end", late('1,"open'), code="unclosed-quote", says=(f"row {LATE}, ", "byte 237796")),
    BadInput("12b quote open in the middle", text(UNCLOSED), code="unclosed-quote", says=("row 3, ", "byte 16")),
    BadInput("13 byte order mark", stored("14_bom.csv"), rows=1, values=ONE),
    BadInput("13 UTF-16", text(PLAIN.encode("utf-16")), rows=2, values=TWO),
    BadInput(
        "14 integer beyond int64",
        text("id\n1\n123456789012345678901\n"),
        rows=2,
        types={"id": "decimal128(38, 0)"},
        values=[{"id": 1}, {"id": 123456789012345678901}],
    ),
    BadInput(
        "14 integer beyond int64 late",
        late("9223372036854775808,x\n"),
        rows=LATE,
        types={**NAMES, "id": "decimal128(38, 0)"},
    ),
    BadInput(
        "15 leading zeros",
        stored("17_leadzero.csv"),
        rows=2,
        values=[{"zip": "00123", "name": "a"}, {"zip": "02139", "name": "b"}],
    ),
    BadInput(
        "16 words for null",
        text(NULLS),
        rows=5,
        values=[{"id": place, "text": cell} for place, cell in enumerate(["NA", "NULL", "nan", "", None], 1)],
    ),
    BadInput(
        "16 words for null, named",
        text(NULLS),
        {"null_values": "NA,NULL,nan"},
        rows=5,
        values=[{"id": place, "text": cell} for place, cell in enumerate([None, None, None, "", None], 1)],
    ),
    BadInput(
        "17 rubbish after gz", packed(PLAIN.encode(), behind=b"rubbish"), code="source-damaged", says=("at byte", "16")
    ),
    BadInput("17 gz after gz", stored("22_concat.csv.gz"), rows=2, values=TWO),
    BadInput("18 CR CR LF", text("id,name\r\r\n1,a\r\r\n2,b\r\r\n"), rows=2, values=TWO),
    BadInput("18 CR alone", text("id,name\r1,a\r2,b\r"), rows=2, values=TWO),
    BadInput("19 JSON: text late", late_key('{"id": "oops"}\n'), code="type-conflict", says=(f"row {LATE}", *UNFIT)),
    BadInput(
        "19 JSON: key late", late_key('{"id": 1, "late": true}\n'), rows=LATE, types={"id": "int64", "late": "bool"}
    ),
    BadInput("20 JSON: last line cut", stored("25_jsonl_trunc.jsonl"), code="bad-row", says=("row 3", "JSON")),
    BadInput(
        "20 JSON: number for a record", text('{"id":1}\n5\n', "a.jsonl"), code="bad-row", says=("row 2", "number")
    ),
    BadInput(
        "20 JSON: struct and number",
        stored("28_key_conflict.jsonl"),
        code="type-conflict",
        says=("row 2", "a", "5", "int64", "struct"),
    ),
    BadInput(
        "20 JSON: struct and number, string",
        stored("28_key_conflict.jsonl"),
        {"on_conflict": "string"},
        rows=2,
        values=[{"a": '{"b":1}'}, {"a": "5"}],
    ),
    BadInput(
        "20 JSON: number late in a struct",
        late('{"a": 5}\n', "a.jsonl", "", '{{"a": {{"b": {0}}}}}\n'),
        code="type-conflict",
        says=(f"row {LATE}", "a", "5", "struct", "int64"),
    ),
    BadInput(
        "20 JSON: integer of 21 digits",
        text('{"id":1}\n{"id":123456789012345678901}\n', "a.jsonl"),
        rows=2,
        types={"id": "decimal128(38, 0)"},
        values=[{"id": 1}, {"id": 123456789012345678901}],
    ),
    BadInput(
        "21 two sources, one name",
        several(text(PLAIN, "one/x.csv"), text(PLAIN, "two/x.csv")),
        {"pattern": "{stem}.parquet"},
        source="*/x.csv",
        code="same-output",
        refused=True,
    ),
    BadInput(
        "21 two sources of one name, in their folders",
        several(text(PLAIN, "one/x.csv"), text(PLAIN, "two/x.csv")),
        source="*/x.csv",
        rows=4,
        values=TWO,
    ),
    BadInput("22 outputs among the sources", text(PLAIN), {"to": "csv"}, source="**/*.csv", output="out", rows=2),
    BadInput("22 onto itself", text(PLAIN), {"to": "csv"}, output=".", code="output-is-source", refused=True),
    BadInput("23 links in a circle", loop, code="source-unreadable", says=("symbolic links",), rows=1),
    BadInput("25 bomb within the bounds", packed(BOMB), rows=2_000_000, types=IDS),
    BadInput(
        "25 bomb",
        packed(BOMB, "a.csv.zst", codec="zst"),
        code="too-large",
        says=("unpack to more than",),
        bounds={"anabranch.sources.bounds.MOST_BYTES": 1 << 20},
    ),
    BadInput(
        "ORC on which Arrow's reader crashes",
        several(stored("crash.orc"), text(PLAIN)),
        code="source-damaged",
        says=("crashed",),
        rows=2,
        values=TWO,
    ),
    BadInput(
        "27 quotes without meaning",
        text('a,b\n1,5" disc\n2,"x\n'),
        {"quote": ""},
        rows=2,
        values=[{"a": 1, "b": '5" disc'}, {"a": 2, "b": '"x'}],
    ),
    BadInput("28 delimiter after every row", text("id,name\n1,a,\n2,b,\n"), rows=2, values=TWO),
    BadInput("28 delimiter after quotes", text('id;name\n1;"a";\n2;"b";\n'), rows=2, values=TWO),
    BadInput(
        "28 delimiter after every row, set aside",
        late("8,n\n9,n,1\n", head="id,name\n1,a,\n", line="{0},n{0},\n"),
        {"on_bad_row": "quarantine"},
        rows=LATE,
        types=NAMES,
        aside=(LATE + 1, LATE + 2),
    ),
    BadInput("28 delimiter after some rows", text("id,name\n1,a,\n2,b\n"), code="bad-row", says=("row 1", "3")),
    BadInput(
        "28 a null after the last delimiter",
        text("id,name\n1,a,\n2,b,NA\n3,c,\n"),
        {"null_values": "NA"},
        code="bad-row",
        says=("row 2", "follows the last delimiter"),
    ),
    BadInput("29 zip of one file", zipped(PLAIN.encode(), "data.csv"), rows=2, values=TWO),
    BadInput("29 zip and what a Mac adds", zipped(PLAIN.encode(), "d/data.csv", "__MACOSX/d/._data.csv"), rows=2),
    BadInput(
        "29 zip of several files",
        zipped(PLAIN.encode(), "a.csv", "b.csv"),
        code="format-unknown",
        says=("2 files", "b.csv"),
    ),
    BadInput("29 zip cut off", cut_zip, code="source-damaged", says=("zip",)),
    BadInput("30 brotli", packed(PLAIN.encode(), "a.csv.br", codec="br"), rows=2, values=TWO),
    BadInput("30 brotli cut off", text(PACK["br"](UNCLOSED.encode())[:-9], "a.csv.br"), code="source-damaged"),
    BadInput("30 text called br", text(PLAIN, "a.csv.br"), rows=2, values=TWO, warns="its name says br"),
    BadInput("30 snappy", packed(PLAIN.encode(), "a.csv.sz", codec="sz"), rows=2, values=TWO),
    BadInput("30 snappy called csv", packed(PLAIN.encode(), "a.csv", codec="sz"), rows=2, warns="content sz"),
    BadInput("30 snappy cut off", text(PACK["sz"](PLAIN.encode())[:-9], "a.csv.sz"), code="source-damaged"),
    BadInput("31 avro with snappy", avro("snappy"), rows=2, values=TWO),
    BadInput("31 avro with a codec that is not installed", avro("lz4"), code="format-missing", says=("lz4",)),
    BadInput("32 arrow stream", arrow_stream("a.stream"), rows=2, values=TWO),
    BadInput("32 arrow stream called arrows", arrow_stream("a.arrows"), rows=2, values=TWO),
    BadInput(
        "33 JSON: NaN and infinity",
        text('{"id":1}\n{"id":NaN}\n{"id":-Infinity}\n', "a.jsonl"),
        rows=3,
        types={"id": "double"},
    ),
    BadInput("34 no header", text("399.19,74.3\n399.21,74.4\n"), rows=1, warns="'399.19', looks like data"),
    BadInput("34 no header, of whole numbers", text("1,2,x\n7,5,y\n"), rows=1, warns="--no-header"),
    BadInput("34 no header, of a date", text("Ann,2024-01-31\nBob,2024-02-01\n"), rows=1, warns="2024-01-31"),
    BadInput("35 page", text("<!DOCTYPE html>\n<html><p>gone</p></html>"), code="not-a-table"),
    BadInput("35 page called xlsx", text("\n<!-- a --> <HTML lang=en>", "a.xlsx"), code="not-a-table"),
    BadInput(
        "36 error cells",
        sheets({"A": [["id", "n"], ["B1", "#DIV/0!"], ["B2", 2]]}),
        rows=2,
        values=[{"id": "B1", "n": "#DIV/0!"}, {"id": "B2", "n": "2"}],
    ),
    BadInput(
        "36 error cell late",
        sheets({"A": [["n"], *[[number] for number in range(1, 9000)], ["#N/A"]]}),
        code="type-conflict",
        says=("row 9000", "#N/A"),
    ),
    BadInput(
        "37 hidden sheet",
        sheets({"-A": [["x"], [1]], "B": [["id"], [7]]}),
        rows=1,
        values=[{"id": 7}],
        warns="(hidden)",
    ),
    BadInput(
        "37 hidden sheet, named",
        sheets({"-A": [["x"], [1]], "B": [["id"], [7]]}),
        {"sheet": "A"},
        rows=1,
        values=[{"x": 1}],
    ),
    BadInput("37 only hidden sheets", sheets({"-A": [["x"], [1]], "B": []}), code="sheet-missing", says=("'A'",)),
    BadInput(
        "38 durations",
        sheets({"A": [["id", "d"], [1, dt.timedelta(hours=36)]]}),
        rows=1,
        values=[{"id": 1, "d": dt.timedelta(hours=36)}],
    ),
    BadInput("39 preamble", text("Report of March\n\n" + PLAIN), {"skip_rows": 2}, rows=2, values=TWO),
    BadInput("39 preamble, no header", text("Report\n1,a\n"), {"skip_rows": 1, "header": False}, rows=1),
    BadInput(
        "39 preamble of a late bad row",
        late("1\n", head="x\nid,name\n"),
        {"skip_rows": 1},
        code="bad-row",
        says=(f"row {LATE}",),
    ),
    BadInput("39 preamble and nothing else", text("Report\n"), {"skip_rows": 5}, warns="is empty"),
    BadInput(
        "39 preamble of a sheet",
        sheets({"A": [["Report"], [], ["id", "name"], [1, "a"]]}),
        {"skip_rows": 2},
        rows=1,
        values=ONE,
    ),
    BadInput(
        "40 short rows, padded",
        text('id,name,n\n1,"a,b"\n2\n3,c,7\n'),
        {"short_rows": "pad"},
        rows=3,
        values=[
            {"id": 1, "name": "a,b", "n": None},
            {"id": 2, "name": None, "n": None},
            {"id": 3, "name": "c", "n": 7},
        ],
    ),
    BadInput("40 short row late, padded", late("20001\n"), {"short_rows": "pad"}, rows=LATE, types=NAMES),
    BadInput(
        "40 long row beside padded ones",
        text("id,name\n1\n2,b,c\n"),
        {"short_rows": "pad"},
        code="bad-row",
        says=("row 2", "found 3"),
    ),
    BadInput("39 preamble with a quote", text('A 5" disc\n"of\n' + PLAIN), {"skip_rows": 2}, rows=2, values=TWO),
    BadInput(
        "41 comments",
        text('# the "first\nid,name\n# it\'s ,"a\n1,a\n#\n2,b\n# end'),
        {"comment": "#"},
        rows=2,
        values=TWO,
    ),
    BadInput("41 comments late", late('# not ,"a row\n'), {"comment": "#"}, rows=LATE - 1, types=NAMES),
    BadInput("41 comments only", text("# a\n# b\n"), {"comment": "#"}, warns="is empty"),
    BadInput(
        "41 comment sign within a cell",
        text('id,name\n1,#a\n2,"\n#b"\n'),
        {"comment": "#"},
        rows=2,
        values=[{"id": 1, "name": "#a"}, {"id": 2, "name": "\n#b"}],
    ),
    BadInput(
        "42 escapes",
        text('id,name\n1,a\\,\\"b\n2,"c\\"\nd"\n'),
        {"escape": "\\"},
        rows=2,
        values=[{"id": 1, "name": 'a,"b'}, {"id": 2, "name": 'c"\nd'}],
    ),
    BadInput("42 escape at the end", text("id,name\n1,a\\"), {"escape": "\\"}, code="bad-row", says=("row 1",)),
    BadInput(
        "43 blanks before quotes",
        text('id, "name"\n1, "a, b"\n2,"c"\n3, d\n'),
        rows=3,
        values=[{"id": 1, "name": "a, b"}, {"id": 2, "name": "c"}, {"id": 3, "name": " d"}],
    ),
    BadInput("26 blank lines", text("id,name\n\n1,a\n\n\n2,b\n\n"), rows=2, values=TWO),
]
