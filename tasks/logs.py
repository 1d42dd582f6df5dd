"""The mapped steps of parse_logs."""

from prefect import task

from anabranch.logs.plan import LogPart
from anabranch.logs.unpack import ArchiveSlice, unpack
from anabranch.logs.work import work
from anabranch.run.mapping import Done, Tasks, carry_out
from anabranch.sources.unpack import SlicePart
from tasks.policy import RETRIED


@task(name="unpack", task_run_name="unpack {part.label}", **RETRIED)
def unpack_slice(part: SlicePart[ArchiveSlice]) -> Done:
    """Decompress one slice of an archive into the work folder."""
    return carry_out(unpack, part)


@task(name="parse", task_run_name="parse {part.label}", **RETRIED)
def parse_part(part: LogPart) -> Done:
    """Parse one part's members, for all modes in one reading."""
    return carry_out(work, part)


TASKS: Tasks = {unpack: unpack_slice, work: parse_part}
