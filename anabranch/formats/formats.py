"""Detect the format of a file: from the options, from its first bytes, then from its name."""

from pathlib import PurePosixPath

from anabranch.core.errors import SourceError
from anabranch.sources.codecs import CODEC_SUFFIXES, uncompressed

TEXT = ("csv", "tsv", "jsonl", "json")  # cut into blocks of whole records
UNITS = ("parquet", "arrow", "orc")  # cut at row groups, batches, stripes
WHOLE = ("avro", "excel")  # read from start to end
FORMATS = (*TEXT, *UNITS, *WHOLE)
ENGINES = {"avro": "fastavro", "excel": "python-calamine"}  # what reads a format; the further ones see `foreign`
LIBRARIES = (  # which decide what is read and written; the later ones read further formats, where they are installed
    *("pyarrow", "numpy", "orjson", "isal", "fastavro", "python-calamine", "cramjam"),
    *("iterabledata", "pymongo", "msgpack", "cbor2", "pyyaml"),
)
_SUFFIXES = {
    ".csv": "csv", ".txt": "csv", ".dat": "csv", ".psv": "csv", ".tsv": "tsv", ".tab": "tsv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".jl": "jsonl", ".json": "json",
    ".parquet": "parquet", ".pq": "parquet", ".orc": "orc", ".avro": "avro",
    ".arrow": "arrow", ".arrows": "arrow", ".feather": "arrow", ".ipc": "arrow", ".stream": "arrow",
    ".xlsx": "excel", ".xlsm": "excel", ".xls": "excel", ".xlsb": "excel", ".ods": "excel",
}  # fmt: skip
_STREAM = b"\xff\xff\xff\xff"  # of Arrow: then the size of its schema, in four bytes
_MOST_SCHEMA = 16 << 20  # bytes, of which more are another kind of file
_MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow", b"ORC": "orc", b"Obj\x01": "avro"}


def format_of(name: str, head: bytes, label: str = "") -> str:
    """Return the format of a file by its first decompressed bytes and its name; SourceError if unknown."""
    for magic, known in _MAGIC.items():
        if head.startswith(magic):
            return known
    if head.startswith(_STREAM) and 0 < int.from_bytes(head[4:8], "little") < _MOST_SCHEMA:
        return "arrow"
    suffix = uncompressed(PurePosixPath(name)).suffix.lower()
    named = _SUFFIXES.get(suffix)
    if named in ("csv", "tsv", "excel"):
        return named
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if named in ("jsonl", "json"):
        return "json" if first == b"[" else named
    if named is None and first in (b"{", b"["):
        return "json" if first == b"[" else "jsonl"
    if named is None or named in _MAGIC.values():
        raise SourceError(
            "format-unknown",
            f"its content is not {named}" if named else f"neither its name nor its content tells a format ({suffix!r})",
            "Name one with --format.",
            label or name,
        )
    return named


def format_named(suffix: str) -> str:
    """Return the format of files whose name certainly ends so; nothing where it may be any text."""
    return "" if suffix in ("txt", "dat") else _SUFFIXES.get(f".{suffix}", "")


def engine_of(format_: str) -> str:
    """Name what reads a format."""
    return ENGINES.get(format_, "pyarrow" if format_ in FORMATS else "records")


def ending(name: str) -> str:
    """Return the format, and after a dot the codec, of an output's name: csv.gz for a.csv.gzip."""
    path = PurePosixPath(name)
    codec = CODEC_SUFFIXES.get(path.suffix.lower(), "")
    return ".".join(filter(None, (uncompressed(path).suffix.lower().lstrip("."), codec)))
