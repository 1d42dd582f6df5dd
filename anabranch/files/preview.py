"""What a run would do, told without doing anything."""

from collections.abc import Sequence
from pathlib import Path

from anabranch.errors import UsageError
from anabranch.files import formats
from anabranch.files.foreign import reading as foreign
from anabranch.files.listing import listed
from anabranch.files.options import ConvertOptions
from anabranch.files.plan import Conversion, plan
from anabranch.files.sources import find
from anabranch.files.survey import look, survey
from anabranch.files.targets import targets
from anabranch.files.types.schema import load_schema
from anabranch.files.writing import require_possible
from anabranch.here import map_here
from anabranch.parts import Job


def check(source: Sequence[str], output: str | None, options: ConvertOptions) -> list[Path]:
    """Say which files will be written; UsageError for what can be told before anything is read."""
    if not output:
        raise UsageError("output-missing", "no output is named", "Name a folder, or with --combine a file.")
    require_possible(options.to, options)
    if options.schema_file:
        load_schema(options.schema_file)
    if options.format and options.format not in formats.FORMATS:
        foreign.require_possible(options.format, foreign.parse_options(options.format_options or ""))
    return list(targets(find(source, output).sources, options, output).values())


def preview(job: Job[ConvertOptions]) -> Conversion:
    """Look at the files, and plan the conversion; reads only."""
    looks = survey(listed(job), (), job)
    return plan(looks, map_here(look, looks, job.threads), job)
