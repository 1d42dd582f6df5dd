"""Runs whose command was killed: Prefect is not told and would show them as running forever.

Each run of a command is noted in a file while it lasts. The next command finds the notes whose process has ended.
"""

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from anabranch.core.config import state_dir
from anabranch.core.errors import SetupError
from anabranch.run.api import NOT_FOUND, RefusedError, call
from anabranch.run.background import Program, alive, note_down, noted

_OPEN = ("PENDING", "RUNNING", "CANCELLING")
_CRASHED = {"type": "CRASHED", "name": "Crashed", "message": "The process of this run was killed."}


@contextmanager
def noting(url: str) -> Iterator[Callable[..., None]]:
    """Yield a hook for a flow that starts to run: it notes this process, until the block ends."""
    notes: list[Path] = []

    def note(_flow: Any, flow_run: Any, _state: Any) -> None:
        notes.append(_folder() / f"{flow_run.id}.json")
        with suppress(OSError):  # with a server of the user's, our folder need not be writable
            notes[-1].parent.mkdir(parents=True, exist_ok=True)
            note_down(notes[-1], Program.this(url))

    try:
        yield note
    finally:
        for path in notes:
            with suppress(OSError):
                path.unlink()


def end_orphans(url: str) -> None:
    """Tell the server at `url` which runs here have crashed; if it does not answer, the next command will."""
    for note in _folder().glob("*.json"):
        program = noted(note)
        if program and (program.url != url or alive(program)):
            continue
        with suppress(SetupError, OSError):
            if program:
                _crash(f"{url}/flow_runs/{note.stem}")
                _crash_tasks(url, note.stem)
            note.unlink(missing_ok=True)


def _crash(run: str) -> None:
    try:
        if call(run)["state_type"] in _OPEN:
            call(f"{run}/set_state", {"state": _CRASHED, "force": True})
    except RefusedError as error:
        if error.status != NOT_FOUND:
            raise


def _crash_tasks(url: str, run: str) -> None:
    """End the run's tasks as well, a page of the server's answer at a time."""
    wish = {"flow_runs": {"id": {"any_": [run]}}, "task_runs": {"state": {"type": {"any_": _OPEN}}}}
    ended: set[str] = set()
    while left := [task["id"] for task in call(f"{url}/task_runs/filter", wish) if task["id"] not in ended]:
        for task in left:
            call(f"{url}/task_runs/{task}/set_state", {"state": _CRASHED, "force": True})
        ended.update(left)  # so that this ends even where the server keeps a state


def _folder() -> Path:
    return state_dir() / "runs" / platform.node()  # machines may share a home
