"""What a run would do, without doing it."""

from collections.abc import Sequence
from pathlib import Path

from anabranch.core.errors import UsageError
from anabranch.core.here import only
from anabranch.core.parts import Job
from anabranch.files.manifest import left_by_runs
from anabranch.files.options import ConvertOptions
from anabranch.files.plan import Conversion
from anabranch.files.targets import as_named, targets
from anabranch.files.way import planned
from anabranch.formats import formats
from anabranch.formats.foreign import reading as foreign
from anabranch.formats.meaning import require_read, require_written
from anabranch.formats.survey import look
from anabranch.formats.writing import require_possible
from anabranch.schema.schema import load_schema
from anabranch.sources.finding import find


def check(source: Sequence[str], output: str | None, options: ConvertOptions) -> list[Path]:
    """Return which files will be written; UsageError for what is known to fail before anything is read."""
    if not output:
        raise UsageError("output-missing", "no output is named", "Name a folder, or with --combine a file.")
    if options.schema_file:
        load_schema(options.schema_file)
    if options.format:
        require_read(options, [options.format])
    if options.format and options.format not in formats.FORMATS:
        foreign.require_possible(options.format, foreign.parse_options(options.format_options or ""))
    sources = find(source, leave_out=left_by_runs(output)).sources
    named = as_named(options, output, sources)
    require_possible(named.to, named)
    require_written(options, [named.to])
    return list(targets(sources, named, output).values())


def preview(job: Job[ConvertOptions]) -> Conversion:
    """Look at the files, and plan the conversion; reads only."""
    return planned(job, only(look, workers=job.threads))
