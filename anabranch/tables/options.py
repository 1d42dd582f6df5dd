"""What a user may choose for an import: the form, the command's options and the reference come from here."""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, field_validator

from anabranch.core.config import Words
from anabranch.core.forms import ZONES, Group, Grouped, choices
from anabranch.core.rejects import PATTERN
from anabranch.formats.options import READING, ReadOptions
from anabranch.tables.dates import is_format


class ImportOptions(ReadOptions, Grouped):
    """How the sources are read, into which table they go, and what becomes of rejects and duplicates."""

    groups = {
        "columns": Group(
            "From the file to the table",
            "Which columns fill which, and how dates and numbers are written in the file.",
            ("mapping_file", "unknown_columns", "date_formats", "decimal", "thousands", "naive_timestamps"),
        ),
        "faults": Group(
            "Rejects", "What becomes of records that do not fit.", ("on_reject", "max_rejects", "on_bad_row")
        ),
        "repeats": Group(
            "Duplicates",
            "What counts as the same record or the same file.",
            ("null_keys", "key_normalise", "on_same_file"),
        ),
        "database": Group(
            "The database", "How long others are waited for, and what is noted.", ("lock_timeout", "history")
        ),
        **READING,
    }

    model_config = ConfigDict(extra="forbid", validate_by_name=True, hide_input_in_errors=True)

    into: Annotated[
        str,
        Field(
            description="Database: sqlite:///FILE, postgresql://USER@HOST/NAME without a password (see ~/.pgpass), "
            "env:NAME of a variable that holds the URL, or block:NAME of a Secret block."
        ),
    ]
    table: Annotated[str, Field(description='Table, written as in SQL: sales.orders, or "Sales Dep"."Order.Items".')]
    key: Annotated[
        Words[str], Field(description="Columns that identify a record. Default: all; nulls then count as equal.")
    ] = Field(default_factory=list)
    create_table: Annotated[
        bool, Field(description="Create the table if it does not exist, with the columns that the plan proposes.")
    ] = False
    mapping_file: Annotated[
        str | None,
        Field(alias="mapping", description="YAML or JSON file: which source column or path fills which table column."),
    ] = None
    unknown_columns: Annotated[
        Literal["fail", "ignore"], Field(description="What to do with a column of the file that the table lacks.")
    ] = "fail"
    date_formats: Annotated[
        Words[str], Field(description="How dates and timestamps are written: %d.%m.%Y,%d.%m.%Y %H:%M. Default: ISO.")
    ] = Field(default_factory=list)
    decimal: Annotated[
        str,
        Field(
            pattern=r"^[.,]$",
            description="Mark before the fraction of a number.",
            json_schema_extra=choices(lambda: ".,"),
        ),
    ] = "."
    thousands: Annotated[
        str,
        Field(pattern=r"^[., '_]?$", description="Mark between thousands; a blank also means no-break spaces."),
    ] = ""
    naive_timestamps: Annotated[
        Annotated[str, Field(json_schema_extra=ZONES)] | None,
        Field(
            description="Time zone of timestamps without an offset, such as Europe/Berlin. Default: they are rejects."
        ),
    ] = None
    on_reject: Annotated[
        Literal["quarantine", "fail"],
        Field(description="What to do if a record is rejected: list it and import the others, or import nothing."),
    ] = "quarantine"
    max_rejects: Annotated[
        str | None,
        Field(pattern=PATTERN, description="Rejects (N or P% of the records) beyond which nothing is imported."),
    ] = None
    on_duplicate: Annotated[
        Literal["fail", "skip", "update", "report", "allow"],
        Field(description="What to do if a record repeats a key of the file or the table."),
    ] = "fail"
    null_keys: Annotated[Literal["distinct", "equal", "reject"], Field(description="What a null in a key means.")] = (
        "distinct"
    )
    key_normalise: Annotated[
        Words[Literal["trim", "casefold", "nfc"]], Field(description="What is made alike before keys are compared.")
    ] = Field(default_factory=list)
    on_same_file: Annotated[
        Literal["skip", "fail", "again"], Field(description="What to do with a file that this table already has.")
    ] = "skip"
    check_only: Annotated[
        bool, Field(alias="validate", description="Make the whole report, and write nothing into the database.")
    ] = False
    lock_timeout: Annotated[float, Field(ge=0, description="Seconds to wait for a table that others have locked.")] = 30
    history: Annotated[
        bool, Field(description="Note the import in the table anabranch_imports, next to the table.")
    ] = True
    on_empty: Annotated[
        Literal["skip", "fail"], Field(description="What to do with a source that holds nothing at all.")
    ] = "fail"

    @property
    def keeps_records(self) -> bool:
        """See ReadOptions."""
        return True

    @field_validator("into")
    @classmethod
    def _database(cls, address: str) -> str:
        from anabranch.tables.secrets import check_address  # noqa: PLC0415  which imports pyarrow, and help need not

        return check_address(address) if address else address

    @field_validator("mapping_file")
    @classmethod
    def _absolute_mapping(cls, path: str | None) -> str | None:
        return path and str(Path(path).absolute())

    @field_validator("date_formats")
    @classmethod
    def _known_formats(cls, formats: list[str]) -> list[str]:
        for text in formats:
            if not is_format(text):
                raise ValueError(f"{text!r} does not name a day with %Y, %m and %d (or %y, %b, %B), or has other marks")
        return formats

    @field_validator("naive_timestamps")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (KeyError, ValueError, OSError) as error:
                raise ValueError(f"there is no time zone {name!r}") from error
        return name
