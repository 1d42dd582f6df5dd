"""Which column of a file fills which column of the table."""

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from anabranch.core.config import first_fault
from anabranch.core.errors import SourceError, UsageError
from anabranch.formats.catalogue import File
from anabranch.formats.cells import Field
from anabranch.tables.dates import is_format
from anabranch.tables.options import ImportOptions
from anabranch.tables.target import Column, Target

_JSON = ("json", "jsonl")


def _as_source(value: object) -> object:
    return {"source": value} if isinstance(value, str) else value


class Given(BaseModel):
    """What the user says of one column of the table."""

    model_config = ConfigDict(extra="forbid")

    source: str | None = None  # header of the file, or the path of a value in JSON records; default: the same name
    type: str | None = None  # where the table is to be made
    nullable: bool | None = None
    formats: list[str] | None = None  # of dates and timestamps


class MappingFile(BaseModel):
    """A mapping file: the table's columns by name."""

    model_config = ConfigDict(extra="forbid")

    columns: dict[str, Annotated[Given, BeforeValidator(_as_source)]]


@dataclass(frozen=True, slots=True)
class Filled:
    """A column of the table, and what fills it."""

    column: Column
    source: str  # the file's own name of it, as `Cells` has it
    field: Field
    formats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mapped:
    """All columns of a file that go into the table, in the table's order."""

    filled: tuple[Filled, ...]
    ignored: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    asked: frozenset[str] = field(default_factory=frozenset)  # keys of records that are known, where records have keys


def load_mapping(options: ImportOptions) -> Mapping[str, Given]:
    """Read what the user says of the columns; UsageError for a file that cannot be understood."""
    given = {name: Given(source=path) for name, path in (options.paths or {}).items()}
    if not options.mapping_file:
        return given
    path = Path(options.mapping_file)
    try:
        text = path.read_text("utf-8")
        if path.suffix.lower() == ".json":
            content = json.loads(text)
        else:
            import yaml  # noqa: PLC0415  for those who use it

            content = yaml.safe_load(text)
        read = MappingFile.model_validate(content).columns
    except ValidationError as error:
        name, reason = first_fault(error)
        raise _unusable(path, f"{name}: {reason}" if name else reason) from error
    except (OSError, ValueError) as error:
        raise _unusable(path, str(error)) from error
    except Exception as error:  # yaml has its own, which need not be imported to be named
        raise _unusable(path, str(error)) from error
    for name, one in read.items():
        for text in one.formats or ():
            if not is_format(text):
                raise _unusable(path, f"{name}: {text!r} is not a format of dates that we read")
    return {**read, **given}


def _unusable(path: Path, reason: str) -> UsageError:
    remedy = "Write YAML or JSON: columns: {email: E-Mail, born: {source: Birthday, formats: ['%d.%m.%Y']}}."
    return UsageError("mapping-unusable", " ".join(reason.split()), remedy, str(path))


def map_columns(file: File, target: Target, given: Mapping[str, Given], options: ImportOptions) -> Mapped:
    """Return which columns of a file fill which of the table.

    SourceError where the file does not fit the table, UsageError where the mapping does not.
    """
    for name in given:
        if name not in target.named:
            raise UsageError(
                "unknown-column", f"the table has no column {name!r}{_like(name, target.named)}", "Correct the mapping."
            )
    records = file.look.format in _JSON
    found, warnings = _found(file, target, given, records=records)
    _require_columns(file, target, found, options)
    filled = []
    for name, source in found.items():
        column = target.named[name]
        _require_fillable(column, source)
        kind = column.type
        path = (
            tuple(source.split("."))
            if records and _is_given(given, name) and source not in file.look.names
            else (source,)
        )
        as_json = records and kind is not None and kind.kind in ("json", "jsonb")
        one = given.get(name)
        filled.append(
            Filled(
                column, name if records else source, Field(name, path, as_json), tuple(one.formats or ()) if one else ()
            )
        )
    known = {one.field.path[0] for one in filled} if records else set(found.values())
    ignored = [name for name in file.look.names if name not in known]
    if ignored and options.unknown_columns == "fail":
        raise unknown_column(ignored[0], target)
    if ignored:
        warnings.append(
            f"{file.source.label}: {', '.join(map(repr, ignored))} {'are' if len(ignored) > 1 else 'is'} ignored"
        )
    order = {column.name: place for place, column in enumerate(target.columns)}
    filled.sort(key=lambda one: order[one.column.name])
    return Mapped(tuple(filled), tuple(ignored), tuple(warnings), frozenset(known))


def unknown_column(name: str, target: Target) -> SourceError:
    """Return the error for a column of a file that the table has no place for."""
    return SourceError(
        "unknown-column",
        f"the file has a column {name!r}, which table {target.table} lacks{_like(name, target.named)}",
        "Rename it, name its target with --mapping, or leave it out with --unknown-columns ignore.",
    )


def _found(
    file: File, target: Target, given: Mapping[str, Given], *, records: bool
) -> tuple[dict[str, str], list[str]]:
    """Return the file's column for each column of the table, and warnings about names that fit in part."""
    names = file.look.names
    found: dict[str, str] = {}
    warnings: list[str] = []
    for name, one in given.items():
        source = one.source or name
        fits = [each for each in names if each == source] or [each for each in names if each.strip() == source.strip()]
        if not fits and not records:
            raise SourceError(
                "missing-column",
                f"the mapping names a column {source!r}, which is not there{_like(source, names)}",
                f"The file has {_listed(names)}.",
            )
        found[name] = fits[0] if fits else source
    taken = {source.split(".")[0] if records else source for source in found.values()}
    for source in names:
        if source in taken:
            continue
        fitting = _target_of(source, target)
        if fitting is None:
            continue
        name = fitting
        if name != source.strip():
            warnings.append(f"{file.source.label}: column {source!r} goes into {name!r}, which is spelled otherwise")
        if name in found:
            raise SourceError(
                "duplicate-columns",
                f"two columns, {found[name]!r} and {source!r}, go into {name!r}",
                "Rename one of them, or say with --mapping which is meant.",
                item=name,
            )
        found[name] = source
    return found, warnings


def _target_of(source: str, target: Target) -> str | None:
    """Find the column of the table: of the same name, else the only one that differs in case alone."""
    plain = source.strip()
    if plain in target.named:
        return plain
    alike = [name for name in target.named if name.casefold() == plain.casefold()]
    return alike[0] if len(alike) == 1 else None


def _is_given(given: Mapping[str, Given], name: str) -> bool:
    return name in given and given[name].source is not None


def _require_fillable(column: Column, source: str) -> None:
    if column.generated:
        raise SourceError(
            "generated-column",
            f"column {source!r} goes into {column.name!r}, which the database computes itself",
            "Leave the column out of the file.",
        )
    if column.type is None:
        raise SourceError(
            "column-type",
            f"column {source!r} goes into {column.name!r} of type {column.declared}, which cannot be imported into",
            "Leave the column out of the file.",
        )


def _require_columns(file: File, target: Target, found: Mapping[str, str], options: ImportOptions) -> None:
    """Raise SourceError where the file lacks a column of the key, or one that needs a value."""
    for name in options.key:
        if name not in target.named:
            raise UsageError(
                "unknown-column", f"the table has no column {name!r}{_like(name, target.named)}", "Correct --key."
            )
    needed = [
        column.name for column in target.columns if not (column.nullable or column.has_default or column.generated)
    ]
    for name in (*options.key, *needed):
        if name not in found:
            raise SourceError(
                "missing-column",
                f"there is no column for {name!r}{_like(name, file.look.names)}",
                f"The file has {_listed(file.look.names)}.",
                item=name,
            )
    if not found:
        raise SourceError(
            "missing-column", "no column of the file is one of the table", f"The file has {_listed(file.look.names)}."
        )


def _like(name: str, known: Sequence[str] | Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name.strip().casefold(), {each.casefold(): each for each in known}, 1, 0.6)
    spelled = {each.casefold(): each for each in known}
    return f"; did you mean {spelled[close[0]]!r}?" if close else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "no columns"
