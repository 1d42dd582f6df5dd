"""The mapped step that unpacks compressed sources, whatever they hold."""

from prefect import task

from anabranch.run.mapping import Done, carry_out
from anabranch.sources.unpack import SlicePart, unpack
from tasks.policy import RETRIED


@task(name="unpack", task_run_name="unpack {part.label}", **RETRIED)
def unpack_slices(part: SlicePart) -> Done:
    """Decompress slices of big files into the work folder."""
    return carry_out(unpack, part)
