"""The mapped steps of import_table."""

from functools import partial

from prefect import task

from anabranch.formats.survey import look
from anabranch.run.blocks import secret
from anabranch.run.mapping import Done, Tasks, carry_out
from anabranch.sources.unpack import unpack
from anabranch.tables.plan import TablePart
from anabranch.tables.verifying import verify
from anabranch.tables.work import work
from tasks.files import look_at_files
from tasks.policy import RETRIED
from tasks.unpacking import unpack_slices


@task(name="coerce", task_run_name="coerce {part.label}", **RETRIED)
def coerce_part(part: TablePart) -> Done:
    """Turn one part's records into rows of the table, and set aside those that do not fit."""
    return carry_out(work, part)


TASKS: Tasks = {unpack: unpack_slices, look: look_at_files, work: coerce_part}

verify_tables = partial(verify, block=secret)
