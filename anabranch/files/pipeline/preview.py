"""What a pipeline would do, without calling its function."""

from collections.abc import Sequence
from pathlib import Path

from anabranch.core.here import only
from anabranch.core.parts import Job
from anabranch.files.pipeline.functions import load_function
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.plan import Applying
from anabranch.files.pipeline.way import planned
from anabranch.files.preview import check as check_conversion
from anabranch.formats.meaning import unused
from anabranch.formats.survey import look


def check(source: Sequence[str], output: str | None, options: PipelineOptions) -> list[Path]:
    """Import the functions, and return which files will be written; UsageError for what fails before reading."""
    for name in (options.function, options.init, options.merge, options.trigger, options.final):
        if name:
            load_function(name)
    if options.trigger_on != PipelineOptions.model_fields["trigger_on"].default and not options.trigger:
        raise unused("--trigger-on", "a run without a trigger", "Name the function with --trigger.")
    return check_conversion(source, output, options)


def preview(job: Job[PipelineOptions]) -> Applying:
    """Look at the files, and plan the parts as for a function of 20 µs; reads only."""
    return planned(job, only(look, workers=job.threads))
