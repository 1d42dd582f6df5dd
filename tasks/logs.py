"""The mapped steps of parse_logs: how they are named, retried and cached."""

from prefect import task

from anabranch.logs.parts import LogPart, SlicePart
from anabranch.logs.unpack import unpack
from anabranch.logs.work import work
from anabranch.run.mapping import BY_PART, Done, carry_out, is_temporary

RETRY_DELAYS = [1, 5]  # seconds; a wait holds a worker thread, so short: enough for a network disk to come back


@task(
    name="unpack",
    task_run_name="unpack {part.label}",
    cache_policy=BY_PART,
    retries=len(RETRY_DELAYS),
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_temporary,
)
def unpack_slice(part: SlicePart) -> Done:
    """Decompress one slice of an archive into the work folder."""
    return carry_out(unpack, part)


@task(
    name="parse",
    task_run_name="parse {part.label}",
    cache_policy=BY_PART,
    retries=len(RETRY_DELAYS),
    retry_delay_seconds=RETRY_DELAYS,
    retry_condition_fn=is_temporary,
)
def parse_part(part: LogPart) -> Done:
    """Parse one part's members, in all modes from one reading."""
    return carry_out(work, part)
