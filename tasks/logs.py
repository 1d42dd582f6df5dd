"""The mapped steps of parse_logs."""

from prefect import task

from anabranch.logs.plan import LogPart
from anabranch.logs.unpack import unpack_logs
from anabranch.logs.work import work
from anabranch.run.mapping import Done, Tasks, carry_out
from anabranch.sources.unpack import SlicePart, unpack
from tasks.policy import RETRIED
from tasks.unpacking import unpack_slices


@task(name="parse", task_run_name="parse {part.label}", **RETRIED)
def parse_part(part: LogPart) -> Done:
    """Parse one part's members, for all modes in one reading."""
    return carry_out(work, part)


@task(name="unpack", task_run_name="unpack {part.label}", **RETRIED)
def unpack_log_slices(part: SlicePart) -> Done:
    """Decompress slices of archives into the work folder, without what is not a log."""
    return carry_out(unpack_logs, part)


TASKS: Tasks = {unpack_logs: unpack_log_slices, unpack: unpack_slices, work: parse_part}
