"""A small file of each further format, what an independent reader makes of it, and what is wrong with damaged ones."""

import csv
import datetime as dt
import io
import shlex
import struct
from dataclasses import dataclass, field
from decimal import Decimal
from xml.dom import minidom

import dbfread
import orjson
import pandas as pd
import yaml

UTC = dt.UTC


@dataclass(frozen=True)
class Sample:
    content: bytes
    expected: list
    damaged: dict[str, bytes]  # what is wrong: content
    options: dict[str, str] = field(default_factory=dict)


def text(content, expected, options=None, **damaged):
    if "é" in content:
        damaged["no UTF-8"] = content.encode().replace("é".encode(), b"\xff")
    damaged = {reason: data.encode() if isinstance(data, str) else data for reason, data in damaged.items()}
    return Sample(content.encode(), expected(content) if callable(expected) else expected, damaged, options or {})


def tabs(content):
    return list(csv.reader(io.StringIO(content), delimiter="\t", quoting=csv.QUOTE_NONE))


def by_orjson(content):
    return [orjson.loads(line) for line in content.replace("\x1e", "").splitlines() if line]


def by_labels(content):
    return [dict(cell.split(":", 1) for cell in line.split("\t")) for line in content.split("\n") if line]


def by_shlex(content):
    names = ["remote_host", "remote_logname", "remote_user", "time", "request", "status", "size"]
    names += ["referer", "user_agent"]
    rows = []
    for line in content.splitlines():
        row = dict(zip(names, shlex.split(line.replace("[", '"').replace("]", '"')), strict=True))
        row["method"], row["request"], row["protocol"] = row["request"].split(" ")
        rows.append(row)
    return rows


def by_minidom(content):
    rows = []
    for book in minidom.parseString(content.encode()).getElementsByTagNameNS("*", "book"):
        authors = [node.firstChild.data for node in book.getElementsByTagNameNS("*", "author")]
        title = book.getElementsByTagName("title")[0]
        rows.append(
            {
                "@id": book.getAttribute("id"),
                "title": {"@lang": title.getAttribute("xml:lang"), "#text": title.firstChild.data},
                "author": authors if len(authors) > 1 else authors[0],
                "note": None,
            }
        )
    return rows


def dbf(fields, rows, driver=0xC9, count=None):
    size = 1 + sum(width for _, _, width, _ in fields)
    count = len(rows) if count is None else count
    head = struct.pack("<BBBBIHH17xBxx", 3, 124, 1, 2, count, 33 + 32 * len(fields), size, driver)
    columns = b"".join(struct.pack("<11sc4xBB14x", name, kind, width, digits) for name, kind, width, digits in fields)
    return head + columns + b"\r" + b"".join(rows) + b"\x1a"


def by_dbfread(content, path):
    path.write_bytes(content)
    return [dict(row) for row in dbfread.DBF(path)]


def bson_document(*elements):
    body = b"".join(kind + name + b"\0" + data for kind, name, data in elements)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def bson_text(value):
    data = value.encode() + b"\0"
    return struct.pack("<i", len(data)) + data


def by_pandas(content):
    options = {"widths": [5, 6, 4], "names": ["id", "name", "x"], "header": None, "dtype": str}
    return pd.read_fwf(io.StringIO(content), **options).to_dict("records")


def by_pyyaml(content):
    return [row for one in yaml.safe_load_all(content) for row in (one if isinstance(one, list) else [one])]


APACHE = """\
10.0.0.1 - ann [10/Oct/2000:13:55:36 -0700] "GET /café?a=1 HTTP/1.0" 200 2326 "http://é.example/" "Mozilla (x; y)"
::1 - - [10/Oct/2000:13:55:37 -0700] "POST / HTTP/1.1" 404 - "-" "-"
"""
BED = "track name=x\nchr1\t0\t10\té 1\t960\t+\t0\t10\t255,0,0\t2\t4,3,\t0,7,\nchr2\t5\t9\n"
FASTA = ">a1 première é\nACGT\nAC-N\n\n>b\nMKV*\n"
FASTQ = "@r1 é\nACGT\n+\nIIII\n@r2\nA\n+r2\n@\n"
FWF = "1    Ann   3.50\n00123Zoé     -1\n"
GEO = (
    '{"type":"Feature","properties":{"n":"é","big":9007199254740993},"geometry":{"type":"Point","coordinates":[1,2.5]}}'
)
GFF = "##gff-version 3\nctg1\t.\tgene\t1\t9\t0.5\t+\t.\tID=g1;Name=é x\nctg1\tsrc\tCDS\t2\t7\t.\t-\t0\tParent=g1\n"
GTF = 'chr1\tsrc\texon\t1\t9\t.\t+\t.\tgene_id "g;1"; gene_name "é";\n'
ILP = '# c\ncpu,host=é,zone=b v=1.5,n=-3i,s="a b,c=d",ok=t 1556813561098000000\ncpu v=2\n'
LTSV = "time:12:00\thost:é\tempty:\n\ntime:12:01\tnew:00123\thost:b\n"
SVM = "+1 1:0.5 3:-2\n-1 7:1e3\n2.5\n"
NT = """\
# comment
<http://é/a> <http://p> "say \\"é\\"\\tthen" .
_:b1 <http://p> <http://c> .
<http://a> <http://p> "5"^^<http://int> .
<http://a> <http://p> "oui et  non"@fr-CA.
"""
XML = """<?xml version="1.0" encoding="UTF-8"?>
<!-- all books --><store xmlns:d="urn:d">
<book id="1"><title xml:lang="en">A &amp; B é</title><author>Ann</author><author>Bob</author><note/></book>
<d:book id="2"><title xml:lang="ru">Книга</title><d:author> Zoé </d:author><note> </note></d:book></store>"""
YAML = "- name: é\n  n: 1\n  when: 2020-02-29\n- {name: b, n: 0.5, tags: [x, null, true]}\n---\nname: '00123'\n"
DBF_FIELDS = [
    (b"NAME", b"C", 8, 0), (b"N", b"N", 5, 0), (b"PRICE", b"N", 7, 2), (b"EXACT", b"N", 20, 3), (b"DAY", b"D", 8, 0),
    (b"OK", b"L", 1, 0), (b"COUNT", b"I", 4, 0),
]  # fmt: skip
DBF_ROWS = [
    b" " + "Ёж".encode("cp1251").ljust(8) + b"   42  -1.501234567890123456.78920200229T" + struct.pack("<i", -7),
    b"*" + b"deleted " + b"    1" + b"   1.00" + b"1".rjust(20) + b"20200101F" + struct.pack("<i", 0),
    b" " + b"".ljust(8) + b"     " + b"       " + b" " * 20 + b"        ?" + struct.pack("<i", 2**31 - 1),
]  # fmt: skip
DBF = dbf(DBF_FIELDS, DBF_ROWS)
DBF_EXPECTED = [
    {"NAME": "Ёж", "N": 42, "PRICE": -1.5, "EXACT": Decimal("1234567890123456.789"), "DAY": dt.date(2020, 2, 29),
     "OK": True, "COUNT": -7},
    {"NAME": "", "N": None, "PRICE": None, "EXACT": None, "DAY": None, "OK": None, "COUNT": 2**31 - 1},
]  # fmt: skip
MILLIS = int(dt.datetime(2020, 2, 29, 12, 30, 0, 250000, UTC).timestamp() * 1000)
BSON = bson_document(
    (b"\x07", b"_id", bytes(range(12))), (b"\x02", b"name", bson_text("é")), (b"\x10", b"i", struct.pack("<i", -1)),
    (b"\x12", b"long", struct.pack("<q", 2**60)), (b"\x01", b"x", struct.pack("<d", 0.5)),
    (b"\x09", b"at", struct.pack("<q", MILLIS)), (b"\x08", b"ok", b"\x01"), (b"\x0a", b"none", b""),
    (b"\x05", b"raw", struct.pack("<i", 2) + b"\x00\xff\x00"),
    (b"\x04", b"tags", bson_document((b"\x02", b"0", bson_text("a")), (b"\x02", b"1", bson_text("b")))),
) + bson_document((b"\x02", b"name", bson_text("b")))  # fmt: skip
BSON_EXPECTED = [
    {"_id": "000102030405060708090a0b", "name": "é", "i": -1, "long": 2**60, "x": 0.5,
     "at": dt.datetime(2020, 2, 29, 12, 30, 0, 250000, UTC), "ok": True, "none": None, "raw": b"\xff\x00",
     "tags": ["a", "b"]},
    {"name": "b"},
]  # fmt: skip
MSGPACK = (
    b"\x83\xa4name\xa2\xc3\xa9\xa1n\xcd\x01\x00\xa1x\xcb" + struct.pack(">d", 0.5)
    + b"\x82\xa4name\xc0\xa4tags\x92\xc3\xc4\x02\x00\xff"
)  # fmt: skip
CBOR = (
    b"\xa2dname\x62\xc3\xa9an\x19\x01\x00" + b"\x82\xa1an\x20\xa1dtags\x83\xf5\xf6\x42\x00\xff"
    + b"\xa1bat\xc1\x1a\x5e\x5a\x5b\x00"
)  # fmt: skip

SAMPLES = {
    "apachelog": text(
        APACHE, by_shlex, {"log_format": "combined"},
        foreign_line=APACHE + "rubbish\n", cut=APACHE[:-3], more=APACHE.replace('"-"\n', '"-" more\n'),
    ),
    "bed": text(
        BED,
        [{"chrom": "chr1", "start": 0, "end": 10, "name": "é 1", "score": 960, "strand": "+", "thick_start": 0,
          "thick_end": 10, "item_rgb": "255,0,0", "block_count": 2, "block_sizes": [4, 3], "block_starts": [0, 7]},
         {"chrom": "chr2", "start": 5, "end": 9}],
        python_number=BED.replace("960", "9_6"), lost_name=BED.replace("chr2", "track2"), cut=BED[:-3],
        end_before_start=BED.replace("\t9\n", "\t2\n"), trailing=BED.replace("9\n", "9\t \n"),
    ),
    "fasta": text(
        FASTA,
        [{"id": "a1", "description": "première é", "sequence": "ACGTAC-N"},
         {"id": "b", "description": "", "sequence": "MKV*"}],
        headless="ACGT\n" + FASTA, binary=FASTA + "\0\1\n",
    ),
    "fastq": text(
        FASTQ,
        [{"id": "r1", "description": "é", "sequence": "ACGT", "quality": "IIII"},
         {"id": "r2", "description": "", "sequence": "A", "quality": "@"}],
        cut=FASTQ[:-2], short_quality=FASTQ.replace("IIII", "III"), shifted="ACGT\n" + FASTQ,
        two_lines=FASTQ.replace("ACGT", "AC\nGT"),
    ),
    "fwf": text(
        FWF,
        by_pandas,
        {"widths": "5, 6, 4", "names": "id, name, x"}, long=FWF.replace("3.50", "3.5000"), short=FWF + "7\n",
    ),
    "gelf": text('{"version":"1.1","host":"é","_n":9007199254740993}\n\n{"short_message":"a\\n\\u00e9"}\n', by_orjson,
                 cut='{"host":"é"}\n{"host":', twice='{"a":1,"a":2}\n', nan='{"a":NaN}\n', scalar="1\n"),
    "geojson": text(
        f'{{"type":"FeatureCollection","features":[{GEO},{GEO}]}}', lambda content: orjson.loads(content)["features"],
        cut=f'{{"type":"FeatureCollection","features":[{GEO}', geometry='{"type":"Point","coordinates":[1,2]}',
        twice=f'{{"type":"Feature",{GEO[1:]}', lines=f"{GEO}\n{GEO}\n",
    ),
    "geojsonseq": text(f"\x1e{GEO}\n{GEO}\n", by_orjson, cut=f"{GEO}\n{GEO[:30]}", array="[1]\n"),
    "gff3": text(
        GFF,
        [{"seqid": "ctg1", "source": ".", "type": "gene", "start": 1, "end": 9, "score": "0.5", "strand": "+",
          "phase": None, "attributes": {"ID": "g1", "Name": "é x"}},
         {"seqid": "ctg1", "source": "src", "type": "CDS", "start": 2, "end": 7, "score": None, "strand": "-",
          "phase": "0", "attributes": {"Parent": "g1"}}],
        cut=GFF[: GFF.rindex("\t")], twice=GFF.replace("Name", "ID"), no_number=GFF.replace("\t9\t", "\tx\t"),
        python_number=GFF.replace("\t9\t", "\t9_0\t"),
    ),
    "gtf": text(
        GTF,
        [{"seqid": "chr1", "source": "src", "type": "exon", "start": 1, "end": 9, "score": None, "strand": "+",
          "phase": None, "attributes": {"gene_id": "g;1", "gene_name": "é"}}],
        unquoted=GTF.replace('"é"', "é"), twice=GTF.replace("gene_name", "gene_id"), cut=GTF[:20],
    ),
    "ilp": text(
        ILP,
        [{"measurement": "cpu", "tags": {"host": "é", "zone": "b"},
          "fields": {"v": 1.5, "n": -3, "s": "a b,c=d", "ok": True}, "time": "1556813561098000000"},
         {"measurement": "cpu", "tags": {}, "fields": {"v": 2.0}}],
        escape=ILP.replace("host=é", "host=a\\ b"), twice=ILP.replace("n=-3i", "v=2"), unsigned=ILP.replace("3i", "3u"),
        no_field=ILP + "cpu\n", no_value=ILP + "cpu v=\n", word=ILP + "cpu v=word\n",
    ),
    "libsvm": text(
        SVM,
        [{"label": 1, "features": [{"index": 1, "value": 0.5}, {"index": 3, "value": -2.0}]},
         {"label": -1, "features": [{"index": 7, "value": 1000.0}]}, {"label": 2.5, "features": []}],
        twice="1 1:2 1:3\n", word="1 a:2\n", cut="1 1:\n", python_number="1 1:1_0\n", long=f"{2**60 + 1} 1:2\n",
        not_text="1 1:é\n",
    ),
    "ltsv": text(
        LTSV, by_labels, no_label=LTSV + "alone\n", twice=LTSV + "a:1\ta:2\n", blank=LTSV + "a:1 \n",
        nul=LTSV + "a:\0\n",
        inner_return=LTSV + "a:1\rb:2\n",
    ),
    "nquads": text(
        '<http://a> <http://p> "é  x" <http://g> .\n<http://a> <http://p> _:b .\n',
        [{"subject": "http://a", "subject_type": "uri", "predicate": "http://p", "predicate_type": "uri",
          "object": "é  x", "object_type": "literal", "object_datatype": None, "object_language": None,
          "graph": "http://g", "graph_type": "uri"},
         {"subject": "http://a", "subject_type": "uri", "predicate": "http://p", "predicate_type": "uri",
          "object": "_:b", "object_type": "bnode", "object_datatype": None, "object_language": None}],
        cut='<http://a> <http://p> "é  x" <http:', literal_graph='<a> <p> <o> "g" .\n',
    ),
    "ntriples": text(
        NT,
        [{"subject": s, "subject_type": st, "predicate": "http://p", "predicate_type": "uri", "object": o,
          "object_type": ot, "object_datatype": d, "object_language": lang}
         for s, st, o, ot, d, lang in [
            ("http://é/a", "uri", 'say "é"\tthen', "literal", None, None),
            ("_:b1", "bnode", "http://c", "uri", None, None),
            ("http://a", "uri", "5", "literal", "http://int", None),
            ("http://a", "uri", "oui et  non", "literal", None, "fr-CA")]],
        cut=NT[:-10], backslash='<a> <p> "\\\\n" .\n', escape='<a> <p> "\\u00e9" .\n', two="<a> <p> .\n",
        no_end="<a> <p> <c>\n", behind="<a> <p> <c> <d> .\n",
    ),
    "xml": text(
        XML, by_minidom, {"tag": "book"}, cut=XML[:-30], entity=XML.replace("&amp;", "&nothing;"),
        no_such_element=XML.replace("book", "paper"), garbage=XML + "more",
        outside='<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r><book>&x;</book></r>',
    ),
    "yaml": text(
        YAML, by_pyyaml,
        cut="- [1, 2\n", twice="a: 1\na: 2\n", code="!!python/object/apply:os.getcwd []", tab="a:\n\t- 1\n",
    ),
    "bson": Sample(
        BSON, BSON_EXPECTED, {"size": b"\xff" + BSON[1:], "text": b"text", "utf-8": BSON.replace(b"\xc3", b"\xff")}
    ),
    "cbor": Sample(
        CBOR,
        [{"name": "é", "n": 256}, {"n": -1}, {"tags": [True, None, b"\x00\xff"]},
         {"at": dt.datetime.fromtimestamp(0x5E5A5B00, UTC)}],
        {"break": b"\xff", "utf-8": CBOR.replace(b"\xc3", b"\xff"), "no tag's value": b"\xa1aa\xd9\xff\xf0\x01"},
    ),
    "dbf": Sample(
        DBF, DBF_EXPECTED,
        {"longer": DBF[:-1] + b" x", "more rows said": dbf(DBF_FIELDS, DBF_ROWS, count=4), "text": b"a,b\n" * 20,
         "no number": DBF.replace(b"   42", b"   4x"), "no date": DBF.replace(b"20200229", b"20200230"),
         "encoding": dbf(DBF_FIELDS, DBF_ROWS, driver=0), "mark": DBF.replace(b"*deleted", b"xdeleted"),
         "memo": dbf([(b"M", b"M", 10, 0)], [b" " + b"3".rjust(10)]),
         "same names": dbf([(b"A", b"C", 1, 0)] * 2, [b" xy"])},
    ),
    "msgpack": Sample(
        MSGPACK, [{"name": "é", "n": 256, "x": 0.5}, {"name": None, "tags": [True, b"\x00\xff"]}],
        {"never used": b"\xc1", "utf-8": MSGPACK.replace(b"\xc3\xa9", b"\xff\xa9"), "extension": b"\xd4\x05x"},
    ),
}  # fmt: skip
