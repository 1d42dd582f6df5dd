"""Plan an import: which columns of each file go where, and parts of consecutive blocks of one file each."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from anabranch.core.batches import contiguous, part_count
from anabranch.core.errors import AnabranchError, SourceError
from anabranch.core.parts import Job, Outcome, Part, Plan, WorkFile
from anabranch.core.storage import fingerprint
from anabranch.formats.catalogue import Catalogue, File
from anabranch.formats.survey import Known
from anabranch.sources import remote
from anabranch.tables.mapping import Given, Mapped, map_columns
from anabranch.tables.options import ImportOptions
from anabranch.tables.rejects import described
from anabranch.tables.target import Import, Policy, Target
from anabranch.tables.versions import code_key

# Bytes of input that one core reads and coerces in a second: measured with eight columns.
_RATES = {"csv": 60e6, "tsv": 60e6, "jsonl": 10e6, "json": 8e6, "parquet": 10e6, "arrow": 40e6, "orc": 10e6}
_SLOW_RATE = 2e6  # of the formats that Python reads
_CODEC_RATIO = 4  # decompressed bytes for each compressed one
_FILE_SECONDS = 2e-3  # that each file costs whatever its size


@dataclass(frozen=True, slots=True)
class TablePart(Part):
    """Consecutive units of one file."""

    catalogue: str
    folder: str
    file: int  # place in Import.files and in the catalogue
    first: int
    stop: int
    records: tuple[int, int] | None = None  # only these of the units' records, counted from 0; none: all


@dataclass(frozen=True, slots=True)
class TableCatalogue(Catalogue[ImportOptions]):
    """All files of an import, and what fills the table's columns from each; the options are those that decide rows."""

    mapped: tuple[Mapped, ...] = ()
    headers: tuple[bytes, ...] = ()  # of each file, before its first record

    def path(self, folder: str) -> Path:
        """See Catalogue."""
        facts = [(file.key, file.source, mapped) for file, mapped in zip(self.files, self.mapped, strict=True)]
        return Path(folder) / f"{fingerprint(self.options, *facts)}.catalogue"


@dataclass(frozen=True, slots=True)
class TablePlan(Plan[TablePart]):
    """The parts, what is to be joined, and what prevents it."""

    catalogue: TableCatalogue | None = None
    job: Import | None = None
    looked: tuple[Outcome, ...] = ()
    errors: tuple[AnabranchError, ...] = ()
    warnings: tuple[str, ...] = ()
    create: str = ""  # the statement that will make the table

    def save(self) -> None:
        """Write the catalogue, which the parts read."""
        if self.catalogue:
            self.catalogue.save(self.folder)

    def notes(self) -> Iterator[tuple[str, str]]:
        """Yield as what each file is read, what becomes of its columns, and which table will be made."""
        if self.catalogue and self.job:
            for file, mapped in zip(self.catalogue.files, self.catalogue.mapped, strict=True):
                yield "read as", f"{file.source.label}: {file.how}"
                for one in mapped.filled:
                    source = ".".join(one.field.path)
                    yield "column", f"{source} → {one.column.name} {one.column.type}"
        if self.create:
            yield "makes", self.create
        for warning in self.warnings:
            yield "warning", warning
        for error in self.errors:
            yield "fails", str(error)


def planned_import(
    job: Job[ImportOptions], found: Known, target: Target, given: Mapping[str, Given], folder: str
) -> TablePlan:
    """Map the columns of every file and plan the parts; errors of files are of the plan, and leave it without parts."""
    errors = list(found.errors)
    mapped: list[Mapped] = []
    for file in found.files:
        try:
            mapped.append(map_columns(file, target, given, job.options))
        except SourceError as error:
            error.part = error.part or file.source.label
            errors.append(error)
    if not errors:
        errors += _differing(found.files, mapped)
    warnings = [f"{file.source.label}: {warning}" for file in found.files for warning in file.look.warnings]
    warnings += [warning for one in mapped for warning in one.warnings]
    warnings += [f"{source.label} is empty, and was left out" for source in found.empty]
    empty = Import(target, (), (), policy_of(job.options), "", folder)
    plan = TablePlan((), folder, job=empty, errors=tuple(errors), warnings=tuple(warnings))
    return plan if errors else _with_parts(plan, job, found.files, mapped, target)


def _with_parts(
    plan: TablePlan, job: Job[ImportOptions], files: Sequence[File], mapped: Sequence[Mapped], target: Target
) -> TablePlan:
    with ThreadPoolExecutor(max(job.threads, 1)) as pool:
        reports = report_names(files, job.output)
        shown = list(pool.map(described, files, reports))
    headers = tuple(one.header for one in shown)
    catalogue = TableCatalogue(tuple(files), deciding(job.options), tuple(mapped), headers)
    columns = tuple(one.column.name for one in mapped[0].filled) if mapped else ()
    text = _decides(catalogue)
    joined = Import(target, columns, tuple(shown), policy_of(job.options), text, plan.folder)
    parts = _parts(catalogue, plan.folder, job.threads)
    return replace(plan, parts=parts, catalogue=catalogue, job=joined)


def policy_of(options: ImportOptions) -> Policy:
    """Return what becomes of duplicates and rejects."""
    return Policy(
        key=tuple(options.key),
        on_duplicate=options.on_duplicate,
        null_keys="distinct" if options.null_keys == "reject" else options.null_keys,
        key_normalise=tuple(options.key_normalise),
        on_reject=options.on_reject,
        max_rejects=options.max_rejects,
        on_same_file=options.on_same_file,
        history=options.history,
        validate=options.check_only,
        lock_timeout=options.lock_timeout,
    )


def deciding(options: ImportOptions) -> ImportOptions:
    """Return the options with only those left that decide the rows, so that others take parts from the cache."""
    rejects_nulls = options.null_keys == "reject"
    return options.model_copy(
        update={
            "into": "",
            "table": "",
            "create_table": False,
            "mapping_file": None,
            "paths": None,
            "key": options.key if rejects_nulls else [],
            "null_keys": "reject" if rejects_nulls else "distinct",
            "on_reject": "quarantine",
            "max_rejects": None,
            "on_duplicate": "fail",
            "key_normalise": [],
            "on_same_file": "skip",
            "check_only": False,
            "lock_timeout": 30.0,
            "history": True,
        }
    )


def _decides(catalogue: TableCatalogue) -> str:
    """Write what decides the rows as JSON."""
    columns = {
        one.column.name: [".".join(one.field.path), str(one.column.type), list(one.formats)]
        for mapped in catalogue.mapped[:1]
        for one in mapped.filled
    }
    options = catalogue.options.model_dump(mode="json", exclude_defaults=True, exclude={"into", "table"})
    return json.dumps({"columns": columns, "options": options}, sort_keys=True, ensure_ascii=False)


def _differing(files: Sequence[File], mapped: Sequence[Mapped]) -> Iterator[SourceError]:
    """Yield an error for each file that does not fill the same columns as the first: its rows would get no defaults."""
    for file, one in zip(files[1:], mapped[1:], strict=True):
        first, here = ({each.column.name for each in some.filled} for some in (mapped[0], one))
        if first != here:
            yield SourceError(
                "columns-differ",
                f"it fills {', '.join(sorted(here))}, but {files[0].source.label} fills {', '.join(sorted(first))}",
                "Import files of other columns by a command of their own.",
                file.source.label,
            )


def report_names(files: Sequence[File], output: str | None) -> list[str]:
    """Name the reports of each file without their endings: beside it, or in the folder `output`."""
    names = []
    for file in files:
        path = file.source.path
        name = Path(remote.named(path)).name
        if output is None and not remote.is_url(path):
            names.append(path)
        else:
            alike = sum(Path(remote.named(other.source.path)).name == name for other in files) > 1
            folder = Path(output) if output is not None else Path.cwd()
            names.append(str(folder / (file.source.label.replace("/", "_") if alike else name)))
    return names


def _parts(catalogue: TableCatalogue, folder: str, threads: int) -> tuple[TablePart, ...]:
    units = [(index, unit) for index, file in enumerate(catalogue.files) for unit in range(file.units)]
    costs = [_seconds(catalogue.files[index]) / catalogue.files[index].units for index, _ in units]
    path = str(catalogue.path(folder))
    parts: list[TablePart] = []
    for run in contiguous(costs, part_count(sum(costs), threads)):
        for index, first, stop in _by_file(units[run.start : run.stop]):
            cost = _seconds(catalogue.files[index]) / catalogue.files[index].units * (stop - first)
            parts.append(part_of(catalogue, path, folder, len(parts), index, first, stop, cost))
    return tuple(parts)


def part_of(  # noqa: PLR0917  what makes a part
    catalogue: TableCatalogue, path: str, folder: str, place: int, index: int, first: int, stop: int, cost: float,
    records: tuple[int, int] | None = None,
) -> TablePart:  # fmt: skip
    """Make the part of these units of a file."""
    file = catalogue.files[index]
    label = file.source.label
    if stop - first < file.units:
        label = f"{label}, {first + 1} to {stop} of {file.units} blocks"
    mapped = catalogue.mapped[index]
    key = fingerprint("import", code_key(), folder, file.key, mapped, first, stop, records, catalogue.options)
    return TablePart(place, label, cost, key, path, folder, index, first, stop, records)


def _by_file(units: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Join the units that follow each other in a file."""
    run: tuple[int, int, int] | None = None
    for index, unit in units:
        if run and run[0] == index:
            run = (index, run[1], unit + 1)
        else:
            if run:
                yield run
            run = (index, unit, unit + 1)
    if run:
        yield run


def _seconds(file: File) -> float:
    rate = _RATES.get(file.look.format, _SLOW_RATE)
    return _FILE_SECONDS + file.source.text_size * (_CODEC_RATIO if file.look.codec else 1) / rate


def reads(found: Known) -> tuple[WorkFile, ...]:
    """List the files that will be read."""
    return tuple(WorkFile(file.source.path, file.source.size, 0) for file in found.files)
