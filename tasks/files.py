"""The mapped steps of convert_files."""

from prefect import task

from anabranch.files.plan import ConvertPart
from anabranch.files.work import work
from anabranch.formats.survey import LookPart, look
from anabranch.run.mapping import Done, Tasks, carry_out
from anabranch.sources.unpack import unpack
from tasks.policy import RETRIED
from tasks.unpacking import unpack_slices


@task(name="look", task_run_name="look at {part.label}", **RETRIED)
def look_at_files(part: LookPart) -> Done:
    """Find out what is in some files, and where a big one can be cut."""
    return carry_out(look, part)


@task(name="convert", task_run_name="convert {part.label}", **RETRIED)
def convert_part(part: ConvertPart) -> Done:
    """Convert one part's blocks into segments of their outputs."""
    return carry_out(work, part)


TASKS: Tasks = {unpack: unpack_slices, look: look_at_files, work: convert_part}
