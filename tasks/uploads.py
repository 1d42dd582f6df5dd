"""The mapped step of upload_files."""

from typing import Any

from prefect import task
from prefect.client.schemas.objects import State

from anabranch.core.errors import AnabranchError
from anabranch.run.mapping import Done, Tasks, carry_out, is_temporary
from anabranch.uploads.pieces import SendPart
from anabranch.uploads.work import work
from tasks.policy import RETRIED


def may_pass(given: Any, task_run: Any, state: State[Any]) -> bool:
    """Whether to try again: the part itself has tried for minutes what a busy destination may still take."""
    error = state.result(raise_on_failure=False)
    return is_temporary(given, task_run, state) and not isinstance(error, AnabranchError)


@task(name="send", task_run_name="send {part.label}", **{**RETRIED, "retry_condition_fn": may_pass})
def send_part(part: SendPart) -> Done:
    """Send one part of a big file, or some small files."""
    return carry_out(work, part)


TASKS: Tasks = {work: send_part}
