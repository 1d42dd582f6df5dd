"""The table that records go into, its columns' types, and the files in which they travel there."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast, get_args

import pyarrow as pa

from anabranch.core.errors import UsageError
from anabranch.core.parts import Manifest, WorkFile

Kind = Literal[
    "text", "varchar", "char", "smallint", "integer", "bigint", "numeric", "real", "double", "boolean", "date", "time",
    "timestamp", "timestamptz", "uuid", "json", "jsonb",
]  # fmt: skip

MOST_DIGITS = 38  # that Arrow's decimal128 holds

# The number of a record within its part comes first in the file of coerced rows; the target's columns follow.
RECORD = pa.field("record", pa.int64(), nullable=False)
# One row for each fault of a record; `record` counts from 0 within the part, `raw` is the record without its line end.
REJECTS = pa.schema(
    [
        RECORD,
        pa.field("line", pa.int64()),  # of the file, 1-based, on which the record starts; null where there are no lines
        pa.field("byte", pa.int64()),  # of the decompressed file, 0-based; null where unknown
        pa.field("raw", pa.binary()),
        pa.field("column", pa.string()),  # of the target; null where the whole record is at fault
        pa.field("value", pa.string()),
        pa.field("code", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
    ]
)

_ARROW = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "uuid": pa.binary(16),
}
_SYNONYMS = {
    "character varying": "varchar",
    "character": "char",
    "bpchar": "char",
    "string": "text",
    "int2": "smallint",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "decimal": "numeric",
    "dec": "numeric",
    "float4": "real",
    "float8": "double",
    "double precision": "double",
    "bool": "boolean",
    "time without time zone": "time",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}
_SQL = {"double": "double precision"}
_CLOCKS = ("time", "timestamp", "timestamptz")
_WRITTEN = re.compile(r"([a-z][a-z0-9 ]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?(\s+with(?:out)? time zone)?")


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type of SQL: `length` in characters of varchar and char, `precision` in digits (of a clock's fraction, too)."""

    kind: Kind
    length: int | None = None
    precision: int | None = None
    scale: int | None = None

    @classmethod
    def parse(cls, written: str) -> "ColumnType":
        """Read a type as SQL writes it: `numeric(8,2)`, `timestamp(3) with time zone`; UsageError for others."""
        fits = _WRITTEN.fullmatch(" ".join(written.lower().split()))
        word, first, second, zone = fits.groups() if fits else ("", None, None, None)
        name = f"{word}{zone or ''}"
        kind = cast("Kind", _SYNONYMS.get(name, name))  # checked below
        numbers = [int(number) for number in (first, second) if number is not None]
        if kind not in get_args(Kind) or len(numbers) > _most_numbers(kind):
            raise UsageError(
                "column-type",
                f"{written!r} is not a type that records can be imported into",
                f"Use one of {', '.join(get_args(Kind))}, or leave the column out of the file.",
            )
        if kind in ("varchar", "char"):
            return cls(kind, numbers[0] if numbers else (1 if kind == "char" else None))
        if kind == "numeric" and numbers:
            return cls(kind, None, numbers[0], numbers[1] if len(numbers) > 1 else 0)
        return cls(kind, None, *numbers)

    @property
    def arrow(self) -> pa.DataType:
        """The type of such a column in the files of coerced rows.

        Text and json are strings; so is numeric without precision or of more than 38 digits, in canonical form.
        """
        if self.kind == "numeric" and self.precision is not None and self.precision <= MOST_DIGITS:
            return pa.decimal128(self.precision, self.scale or 0)
        return _ARROW.get(self.kind, pa.string())

    def __str__(self) -> str:
        numbers = [number for number in (self.length, self.precision, self.scale) if number is not None]
        inner = f"({','.join(map(str, numbers))})" if numbers else ""
        if self.kind == "timestamptz" and inner:
            return f"timestamp{inner} with time zone"
        return f"{_SQL.get(self.kind, self.kind)}{inner}"


def _most_numbers(kind: str) -> int:
    return 2 if kind == "numeric" else int(kind in (*_CLOCKS, "varchar", "char"))


@dataclass(frozen=True, slots=True)
class TableName:
    """A table's name as the database knows it; without a schema it is looked for where the database looks first."""

    schema: str | None
    name: str

    @classmethod
    def parse(cls, written: str) -> "TableName":
        """Read a name as SQL writes it: `sales.orders`, `"Sales Dep"."Order.Items"`; UsageError for anything else."""
        names = []
        rest = written.strip()
        while fits := re.match(r'(?:"((?:[^"\0]|"")+)"|([^\W\d][\w$]*))\s*(?:\.\s*(?=["\w])|$)', rest):
            quoted, plain = fits.groups()
            names.append(quoted.replace('""', '"') if quoted else plain.lower())
            rest = rest[fits.end() :]
        if rest or len(names) not in (1, 2):
            raise UsageError(
                "table-name",
                f"{written!r} is not the name of a table",
                'Write it as in SQL: orders, sales.orders, or with quotes: "Sales Dep"."Order.Items".',
            )
        return cls(names[0] if len(names) > 1 else None, names[-1])

    def __str__(self) -> str:
        return ".".join(_shown(name) for name in (self.schema, self.name) if name is not None)


def _shown(name: str) -> str:
    """Write a name as SQL would, with quotes only where they are needed."""
    return name if re.fullmatch(r"[a-z_][a-z0-9_$]*", name) else '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    type: ColumnType | None  # None: a type that no record can be imported into
    nullable: bool = True
    has_default: bool = False
    generated: bool = False  # computed by the database, which takes no value for it
    declared: str = ""  # the type in the database's own words


@dataclass(frozen=True)
class Target:
    """The table, as it is or as it is to be made."""

    table: TableName
    columns: tuple[Column, ...]
    exists: bool = True

    @cached_property
    def named(self) -> dict[str, Column]:
        """Return the columns by name."""
        return {column.name: column for column in self.columns}


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A source as the import's report and history know it."""

    label: str  # what a person calls it: a path or a URL without credentials
    sha256: str  # of its bytes as stored
    size: int
    reports: str  # path of its reports without their endings: FOLDER/people.csv for people.csv.rejects.csv
    header: bytes = b""  # what precedes the first record of a rejects file, with its line end
    ending: str = ".csv"  # of the rejects file that can be imported again


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of duplicates and rejects."""

    key: tuple[str, ...] = ()  # target columns; none: all columns of the files, with nulls equal
    on_duplicate: Literal["fail", "skip", "update", "report", "allow"] = "fail"
    null_keys: Literal["distinct", "equal", "reject"] = "distinct"  # `work` rejects; here reject is distinct
    key_normalise: tuple[Literal["trim", "casefold", "nfc"], ...] = ()
    on_reject: Literal["quarantine", "fail"] = "quarantine"
    max_rejects: str | None = None  # N or P%, of all records of the import
    on_same_file: Literal["skip", "fail", "again"] = "skip"
    history: bool = True
    validate: bool = False  # the whole report, and nothing written
    lock_timeout: float = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Import:
    """Everything that `join` must know beside the parts' files."""

    target: Target
    columns: tuple[str, ...]  # target columns that the files have, in the target's order
    files: tuple[ImportFile, ...]
    policy: Policy
    mapping: str  # canonical text of what decides the rows: mapping and reading options; JSON
    folder: str  # work folder of this import, where the report waits for COMMIT
    known: frozenset[int] = frozenset()  # files that the table had when this was planned; they have no parts


@dataclass(frozen=True, slots=True)
class TableManifest(Manifest):
    """What a part of `work` brings back: `files` are the coerced rows and the rejects, both Arrow IPC files.

    `counts`: records (all), rows (coerced), rejected (records); records = rows + rejected.
    """

    @property
    def rows(self) -> WorkFile:
        """The coerced rows: RECORD, then the columns of `Import.columns`."""
        return self.files[0]

    @property
    def rejects(self) -> WorkFile:
        """The faults, with the columns of REJECTS."""
        return self.files[1]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part that is done, as `join` sees it; pieces come in the order of the files and of their records."""

    file: int  # place in Import.files
    manifest: TableManifest


def key_of(job: Import) -> tuple[str, ...]:
    """Return the columns by which records are compared."""
    return job.policy.key or job.columns


def row_schema(target: Target, columns: Sequence[str]) -> pa.Schema:
    """Return the schema of a file of coerced rows; UsageError for a column that takes no record's value."""
    fields = [RECORD]
    for name in columns:
        column = target.named[name]
        if column.type is None:
            raise UsageError(
                "column-type",
                f"column {name} is of type {column.declared}, into which no record can be imported",
                "Leave the column out of the file or the mapping.",
            )
        fields.append(pa.field(name, column.type.arrow))
    return pa.schema(fields)
