"""What an import would do, without doing it."""

from collections.abc import Sequence
from pathlib import Path

from anabranch.core.here import only
from anabranch.core.outputs import require_folder
from anabranch.core.parts import Job
from anabranch.formats import formats
from anabranch.formats.foreign import reading as foreign
from anabranch.formats.meaning import require_read, unused
from anabranch.formats.survey import look
from anabranch.sources.finding import find
from anabranch.tables.mapping import load_mapping
from anabranch.tables.options import ImportOptions
from anabranch.tables.plan import TablePlan
from anabranch.tables.secrets import open_store, resolve
from anabranch.tables.target import TableName
from anabranch.tables.way import planned


def check(source: Sequence[str], output: str | None, options: ImportOptions) -> list[Path]:
    """Raise UsageError for what can be known before anything is read; which reports there will be is not known yet."""
    TableName.parse(options.table)
    load_mapping(options)
    if options.on_bad_row != "fail":
        raise unused("--on-bad-row", "an import", "Use --on-reject.")
    if output is not None:
        require_folder(Path(output), "the reports go into a folder")
    if options.format:
        require_read(options, [options.format])
    if options.format and options.format not in formats.FORMATS:
        foreign.require_possible(options.format, foreign.parse_options(options.format_options or ""))
    find(source)
    return []


def preview(job: Job[ImportOptions]) -> TablePlan:
    """Look at the files and the table, and plan the import; reads only."""
    return planned(job, only(look, workers=job.threads), lambda: open_store(resolve(job.options.into), "empty"))
