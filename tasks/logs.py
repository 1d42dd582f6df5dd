"""The mapped steps of parse_logs."""

from prefect import task

from anabranch.logs.plan import LogPart
from anabranch.logs.work import work
from anabranch.run.mapping import Done, Tasks, carry_out
from anabranch.sources.unpack import unpack
from tasks.policy import RETRIED
from tasks.unpacking import unpack_slices


@task(name="parse", task_run_name="parse {part.label}", **RETRIED)
def parse_part(part: LogPart) -> Done:
    """Parse one part's members, for all modes in one reading."""
    return carry_out(work, part)


TASKS: Tasks = {unpack: unpack_slices, work: parse_part}
