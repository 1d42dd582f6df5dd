"""The mapped step of run_pipeline that calls the user's function; the others are those of convert_files."""

from prefect import task

from anabranch.files.pipeline.spans import ApplyPart
from anabranch.files.pipeline.work import work
from anabranch.run.mapping import Done, carry_out
from tasks.policy import RETRIED


@task(name="apply", task_run_name="apply to {part.label}", **RETRIED)
def apply_part(part: ApplyPart) -> Done:
    """Call the function for one part's records, and write what it returns."""
    return carry_out(work, part)
