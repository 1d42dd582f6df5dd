"""The allow-list of further formats: only what is listed is read, and only as far as it is read without loss."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from anabranch.formats.foreign import checks
from anabranch.formats.foreign import dbf as foreign_dbf
from anabranch.formats.foreign import own as foreign_own

Convert = Callable[[str], Any]

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2})?"
_NAME = r'[^\s,="\\]+'
_VALUE = rf'(?:{_NUMBER}|-?\d+i|t|T|true|True|TRUE|f|F|false|False|FALSE|"[^"\\]*")'
_POINT = rf"{_NAME}(?:,{_NAME}={_NAME})* {_NAME}={_VALUE}(?:,{_NAME}={_VALUE})*(?: \d+)?"
_IRI = r'<[^<>"{}|^`\\\x00-\x20]+>'
_NODE = r'(?:<[^<>"{}|^`\\\x00-\x20]+>|_:[^\s<>".]+)'
_LITERAL = rf'"(?:[^"\\\n\r]|\\["nrt])*"(?:@[A-Za-z]+(?:-[A-Za-z0-9]+)*|\^\^{_IRI})?'
_TRIPLE = rf"{_NODE}[ \t]+{_IRI}[ \t]+(?:{_NODE}|{_LITERAL})"
_OBJECT = r"\x1e?\{.*\}\s*"
_NOTHING = re.compile(r"\s*$")
_COMMENT = re.compile(r"\s*(?:#|$)")


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is read: by `reader`, a class of the library, or by `read`, our own function."""

    extensions: tuple[str, ...]
    reader: str = ""  # module:class below iterable.datatypes
    read: Callable[..., Iterator[Any]] | None = None
    package: tuple[str, str] = ("", "")  # what it needs beside: name to import, name to install
    options: Mapping[str, Convert] = field(default_factory=dict)  # that the constructor or function takes
    required: tuple[str, ...] = ()  # options without which nothing can be read
    # Of formats made of lines: those that are read exactly, those that say nothing, the first one.
    line: re.Pattern[str] | None = None
    skipped: re.Pattern[str] = _NOTHING
    first: str = ""
    lines: int = 1  # of a record; 0 for any number
    check: checks.Check | None = None
    consumed: Callable[[Any], int] | None = None  # bytes that the reader made records of, where it hides a cut end
    fix: Callable[[Any], Any] | None = None  # what the reader gives, as a record
    utc: bool = False  # times without a zone are UTC
    limit: int = 0  # bytes of a file that is held as a whole; 0 where records are streamed


def words(text: str) -> list[str]:
    """Split an option that lists words."""
    return [word.strip() for word in text.split(",")]


def names(text: str) -> list[str]:
    """Split an option that names columns; ValueError where one is there twice, of which the first would be lost."""
    found = words(text)
    if len(set(found)) < len(found):
        raise ValueError(f"a name occurs twice: {text}")
    return found


def integers(text: str) -> list[int]:
    """Split an option that lists numbers; ValueError if one is not a number."""
    return [int(word) for word in words(text)]


def log_format(text: str) -> str:
    """Take the name of a web server's log format; ValueError where it is unknown."""
    if text not in ("common", "combined", "vhost_common"):
        raise ValueError(f"{text!r} is not one of common, combined, vhost_common")
    return text


def _lines(
    extensions: tuple[str, ...], reader: str, pattern: str, check: checks.Check | None = None, **more: Any
) -> Format:
    return Format(extensions, reader, line=re.compile(pattern, re.DOTALL), check=check, **more)


FORMATS: Mapping[str, Format] = {
    # Tables and logs made of lines.
    "apachelog": _lines(
        (), "apachelog:ApacheLogIterable", ".*", checks.whole_request, options={"log_format": log_format}
    ),
    "bed": _lines(
        ("bed",), "bed:BEDIterable", r"[^\s][^\t]*\t\d+\t\d+(?:\t.*)?(?<!\s)", checks.whole_bed,
        skipped=re.compile(r"\s*(?:#|$|track\s|browser\s)"),
    ),
    "fasta": _lines(("fasta", "fa", "fna", "faa"), "fasta:FASTAIterable", r">\s*\S.*|[A-Za-z*.-]+", first=">", lines=0),
    "fastq": _lines(("fastq", "fq"), "fastq:FASTQIterable", r".*\S", checks.whole_read, lines=4),
    "fwf": _lines(
        ("fwf",), "fwf:FixedWidthIterable", ".*", checks.whole_row,
        options={"widths": integers, "names": names}, required=("widths", "names"),
    ),
    "gelf": _lines(("gelf",), "gelf:GELIterable", _OBJECT, checks.whole_object),
    "geojsonseq": _lines(
        ("geojsonl", "geojsons", "geojsonseq"), "geojsonseq:GeoJSONSeqIterable", _OBJECT, checks.whole_object
    ),
    "gff3": _lines(
        ("gff3", "gff"), "genomic_intervals:GFF3Iterable", r"(?:[^\t]+\t){8}[^\t]+", checks.whole_gff, skipped=_COMMENT
    ),
    "gtf": _lines(
        ("gtf",), "genomic_intervals:GTFIterable", r'(?:[^\t]+\t){8}(?:\s*[^\s";]+ "[^"]*"\s*(?:;|$))*\s*',
        checks.whole_gff, skipped=_COMMENT,
    ),
    "ilp": _lines(("ilp", "lp"), "ilp:ILPIterable", _POINT, checks.whole_point, skipped=_COMMENT),
    "libsvm": _lines(
        ("libsvm", "svm"), "libsvm:LIBSVMIterable", rf"{_NUMBER}(?:[ \t]+\d+:{_NUMBER})*\s*", checks.whole_svm,
        fix=lambda row: {**row, "features": [{"index": i, "value": x} for i, x in row["features"].items()]},
    ),
    "ltsv": _lines(
        ("ltsv",), "ltsv:LTSVIterable", r"(?!\s)[^:\t]+:[^\t]*(?:\t[^:\t]+:[^\t]*)*(?<!\s)", checks.one_for_each_field
    ),
    "nquads": _lines(
        ("nq", "nquads"), "nquads:NQuadsIterable", rf"\s*{_TRIPLE}(?:[ \t]+{_NODE})?[ \t]*\.\s*", skipped=_COMMENT
    ),
    "ntriples": _lines(("nt", "ntriples"), "ntriples:NTriplesIterable", rf"\s*{_TRIPLE}[ \t]*\.\s*", skipped=_COMMENT),
    # Binary documents, one after the other.
    "bson": Format(("bson",), "bsonf:BSONIterable", package=("bson", "pymongo"), utc=True),
    "msgpack": Format(
        ("msgpack", "mpk"), "msgpack:MessagePackIterable", package=("msgpack", "msgpack"),
        consumed=lambda reader: reader.unpacker.tell(),
    ),
    # The library's readers of these lose data: mixed content, duplicate keys, cut files, later items, features.
    "cbor": Format(("cbor",), read=foreign_own.read_cbor, package=("cbor2", "cbor2"), limit=64 << 20),
    "dbf": Format(("dbf",), read=foreign_dbf.read_dbf),
    "geojson": Format(("geojson",), read=foreign_own.read_geojson, limit=64 << 20),
    "xml": Format(("xml",), read=foreign_own.read_xml, options={"tag": str}),
    "yaml": Format(("yaml", "yml"), read=foreign_own.read_yaml, package=("yaml", "pyyaml"), limit=16 << 20),
}  # fmt: skip
