"""The mapped steps of run_pipeline; the others are those of convert_files."""

from prefect import task

from anabranch.files.pipeline.agree import work as agree
from anabranch.files.pipeline.shares import ApplyPart
from anabranch.files.pipeline.work import work
from anabranch.files.plan import ConvertPart
from anabranch.run.mapping import Done, Tasks, carry_out
from tasks import files
from tasks.policy import RETRIED


@task(name="agree", task_run_name="agree on the types of {part.label}", **RETRIED)
def agree_on_types(part: ConvertPart) -> Done:
    """Find out which types one part's rows need."""
    return carry_out(agree, part)


@task(name="apply", task_run_name="apply to {part.label}", **RETRIED)
def apply_part(part: ApplyPart) -> Done:
    """Call the function for one part's records, and write what it returns."""
    return carry_out(work, part)


TASKS: Tasks = {**files.TASKS, agree: agree_on_types, work: apply_part}
