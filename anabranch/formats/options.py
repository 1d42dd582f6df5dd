"""What a user may choose about the files that are read and written, the same for every column."""

import codecs
import io
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from anabranch.core.config import Words
from anabranch.core.forms import Group, choices
from anabranch.schema.rules import Manner, OnConflict, Rules
from anabranch.sources.bounds import MaxUnpacked

DELIMITED = ("csv", "tsv")
CODECS = ("gz", "bz2", "xz", "zst", "lz4")
WRITES = ("parquet", "csv", "tsv", "jsonl", "json", "arrow", "orc")
HEAD = 1000  # rows at the start of a file that say what its columns are

# what the forms of all columns that read data files show together
READING = {
    "reading": Group(
        "How the sources are read",
        "What is left as it is, is found out from their names and contents.",
        ("format", "format_options", "encoding", "sheet", "paths", "on_empty", "max_unpacked"),
    ),
    "text": Group(
        "Delimited text",
        "How CSV, TSV and the like are written. What is left as it is, is detected in the first rows.",
        ("delimiter", "quote", "escape", "comment", "header", "skip_rows", "short_rows", "null_values"),
    ),
    "types": Group(
        "Columns and their types",
        "How the types are decided, and what becomes of what does not fit.",
        ("infer", "schema_file", "on_conflict", "duplicate_columns"),
    ),
}
WRITING = {
    "writing": Group(
        "How the outputs are written",
        "Their names, and what is inside them.",
        ("pattern", "compression", "output_delimiter", "flatten"),
    )
}

OnBadRow = Literal["fail", "quarantine"]


def _formats() -> list[str]:
    from anabranch.formats import formats  # noqa: PLC0415  only a form asks for them
    from anabranch.formats.foreign.formats import FORMATS as FOREIGN  # noqa: PLC0415

    return [*formats.FORMATS, *sorted(FOREIGN)]


def _targets() -> list[str]:
    return [f"{kind}{codec}" for codec in ("", *(f".{name}" for name in CODECS)) for kind in WRITES]


TARGETS = choices(_targets)


def _one_character(text: str | None) -> str | None:
    plain = text and text.replace("\\t", "\t")
    if plain is not None and len(plain) != 1:
        raise ValueError("a delimiter must be one character")
    return plain


class ReadOptions(BaseModel):
    r"""How files are read; the same for every workload that reads data files.

    Examples:
        >>> from pathlib import Path
        >>> _ = Path("sales.txt").write_text("item;price\nBolt;1.25\nNut;NA\n")
        >>> options = anabranch.ReadOptions(format="csv", delimiter=";", null_values=["NA"])
        >>> with anabranch.parallel_read("sales.txt", options=options) as reader:
        ...     print(list(reader))
        [{'item': 'Bolt', 'price': 1.25}, {'item': 'Nut', 'price': None}]

    """

    model_config = ConfigDict(extra="forbid", validate_by_name=True)

    format: Annotated[
        Annotated[str, Field(json_schema_extra=choices(_formats))] | None,
        Field(description="Format of the sources, such as csv or jsonl. Default: detected from name and content."),
    ] = None
    format_options: Annotated[
        str | None,
        Field(
            description="Options of a format: tag=data for the list of records within a JSON or XML file, or "
            "widths=5,10;names=id,name."
        ),
    ] = None
    encoding: Annotated[
        str | None,
        Field(description="Encoding of text, such as cp1251. Default: UTF-8, or that of the byte order mark."),
    ] = None
    delimiter: Annotated[
        str | None, Field(description=r"Character between cells; \t for a tab. Default: detected in the first rows.")
    ] = None
    quote: Annotated[
        str | None, Field(max_length=1, description='Character around cells; empty for none. Default: ".')
    ] = None
    escape: Annotated[
        str | None,
        Field(
            max_length=1,
            description=r"Character that takes the meaning from the next one, such as \ in 5\" disc. Default: none.",
        ),
    ] = None
    comment: Annotated[
        str | None,
        Field(max_length=1, description="Character that begins a line to be left out, such as #. Default: none."),
    ] = None
    header: Annotated[bool, Field(description="The first record of delimited text names the columns.")] = True
    skip_rows: Annotated[
        int, Field(ge=0, description="Lines before the header, or rows of a sheet, that are not read.")
    ] = 0
    short_rows: Annotated[
        Literal["fail", "pad"],
        Field(description="What to do with a row of too few cells: treat it as a bad row, or add empty cells."),
    ] = "fail"
    null_values: Annotated[
        Words[str], Field(description="Cells that mean a missing value, besides the empty one: NA,NULL.")
    ] = Field(default_factory=list)
    infer: Annotated[
        str,
        Field(
            pattern=r"^(all|none|sample:[1-9]\d*)$",
            description="Rows that decide the columns' types: all, sample:N (the first N), or none (all text).",
        ),
    ] = "all"
    schema_file: Annotated[
        str | None,
        Field(alias="schema", description="JSON file of column names and types, which all sources must fit."),
    ] = None
    on_conflict: Annotated[
        OnConflict,
        Field(description="What to do if a value does not fit its column: fail, widen the type, or make it a string."),
    ] = "fail"
    on_bad_row: Annotated[
        OnBadRow, Field(description="What to do with a row that cannot be read: fail, or set it aside in quarantine.")
    ] = "fail"
    duplicate_columns: Annotated[
        Literal["fail", "rename"], Field(description="What to do if two columns have the same name.")
    ] = "fail"
    paths: Annotated[
        dict[str, str] | None,
        Field(
            description="Columns to take from JSON records, by the keys to each: id=user.id,email=user.contact.email."
        ),
    ] = None
    sheet: Annotated[str | None, Field(description="Sheet of a workbook. Default: the first that holds anything.")] = (
        None
    )
    on_empty: Annotated[Literal["skip", "fail"], Field(description="What to do with an empty source.")] = "skip"
    max_unpacked: MaxUnpacked = None

    @property
    def keeps_records(self) -> bool:
        """Whether a record that cannot be read is returned with its reason, as an import needs it, not raised."""
        return False

    @property
    def head(self) -> int:
        """Rows that decide the types before anything is written."""
        return int(self.infer.partition(":")[2] or HEAD)

    @property
    def rules(self) -> Rules:
        """How the values become types."""
        manner: Manner = "wide" if self.on_conflict == "widen" else "strict"
        sampled = self.infer.startswith("sample")
        return Rules(self.on_conflict, manner, sampled=sampled, fixed=self.schema_file is not None)

    def for_format(self, _name: str) -> Self:
        """Return the options as they are for a source of this format."""
        return self

    @field_validator("schema_file")
    @classmethod
    def _absolute(cls, path: str | None) -> str | None:
        return path and str(Path(path).absolute())

    @field_validator("paths", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if not all(name.strip() and path.strip() for name, _, path in pairs):
            raise ValueError("write COLUMN=PATH, and a comma between several")
        return {name.strip(): path.strip() for name, _, path in pairs}

    @field_validator("delimiter")
    @classmethod
    def _delimiter(cls, text: str | None) -> str | None:
        return _one_character(text)

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str | None) -> str | None:
        try:
            io.TextIOWrapper(
                io.BytesIO(), encoding=name or None
            )  # refuses codecs that are not for text, such as hex and rot13
            return name and codecs.lookup(name).name
        except (LookupError, ValueError) as error:
            raise ValueError(f"there is no text encoding {name!r}") from error


class _Keeping(ReadOptions):
    @property
    def keeps_records(self) -> bool:
        return True


def keeping(options: ReadOptions) -> ReadOptions:
    """Return the same options for a reader that keeps the records that cannot be read."""
    return _Keeping.model_construct(**dict(options))


class WriteOptions(BaseModel):
    """What is written, and under which names.

    Examples:
        >>> from pathlib import Path
        >>> options = anabranch.WriteOptions(flatten=True)
        >>> with anabranch.parallel_write("points.csv", options=options) as writer:
        ...     writer.write({"name": "A", "at": {"x": 1, "y": 2}})
        >>> print(Path("points.csv").read_text(), end="")
        name,at.x,at.y
        "A",1,2

    """

    model_config = ConfigDict(extra="forbid")

    to: Annotated[
        str,
        Field(
            description="Format to write: parquet, csv, tsv, jsonl, json, arrow or orc, also compressed: csv.gz. "
            "One output file, such as out.csv, says it by its name.",
            json_schema_extra=TARGETS,
        ),
    ] = "parquet"
    pattern: Annotated[
        str | None,
        Field(description="Name of each output, made from {name}, {stem}, {ext} and {parent}. Default: {stem}.TO."),
    ] = None
    combine: Annotated[bool, Field(description="Write all sources, in their order, into one file, OUTPUT.")] = False
    compression: Annotated[
        Literal["zstd", "snappy", "gzip", "lz4", "none"] | None,
        Field(description="Compression inside parquet, orc and arrow files. Default: zstd."),
    ] = None
    output_delimiter: Annotated[
        str | None,
        Field(description=r"Character between written cells; \t for a tab. Default: that of the format."),
    ] = None
    flatten: Annotated[bool, Field(description="Write the fields of nested records as columns with dotted names.")] = (
        False
    )

    @property
    def lines(self) -> bool:
        """Whether records can be written as they come, since the format needs no types."""
        return self.to.partition(".")[0] in ("jsonl", "json") and not self.flatten

    @property
    def packing(self) -> str:
        """How the columns of parquet, orc and arrow files are compressed."""
        return self.compression or "zstd"

    def separator(self, to: str) -> str:
        """Return the character between the cells of csv or tsv."""
        return self.output_delimiter or ("\t" if to == "tsv" else ",")

    @field_validator("output_delimiter")
    @classmethod
    def _separating(cls, text: str | None) -> str | None:
        plain = _one_character(text)
        if plain is not None and (not plain.isascii() or plain in '"\r\n'):
            raise ValueError("the output delimiter must be one ASCII character other than a quote or a line break")
        return plain

    @field_validator("to")
    @classmethod
    def _known_target(cls, text: str) -> str:
        kind, _, codec = text.lower().removeprefix(".").partition(".")
        if kind not in WRITES or (codec and codec not in CODECS):
            raise ValueError(
                f"cannot write {text!r}; use one of {', '.join(WRITES)}, with .{', .'.join(CODECS)} or none"
            )
        return re.sub(r"\.$", "", f"{kind}.{codec}")
