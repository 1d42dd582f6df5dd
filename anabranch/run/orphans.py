"""Runs whose command was killed: Prefect is not told and would show them as running forever.

Each run of a command is noted in a file while it lasts. The next command finds the notes whose process has ended.
"""

import json
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from anabranch.core.config import state_dir
from anabranch.run.api import NO_ANSWER, NOT_FOUND, RefusedError, call
from anabranch.run.background import Program, alive, note_down, noted

_OPEN = ("PENDING", "RUNNING", "CANCELLING")
_STATE = ".state"  # of the file beside a note that holds how its run ended
_CRASHED = {"type": "CRASHED", "name": "Crashed", "message": "The process of this run was killed."}
_UNTOLD = {"type": "CRASHED", "name": "Crashed", "message": "The server was not told how this task ended."}


class Ended(Protocol):
    """How a run ended by its own account, and whether the server was told."""

    told: bool

    def as_json(self) -> str:
        """Return the state as the API takes it."""


@contextmanager
def noting(url: str, end: Ended) -> Iterator[Callable[..., None]]:
    """Yield a hook for a flow that starts to run: it notes this process, until the block ends.

    If the server was not told how the run ended, the note stays, with that state for the next command to tell.
    """
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
                if end.told:
                    path.unlink()
                else:
                    path.with_suffix(_STATE).write_text(end.as_json())


def end_orphans(url: str) -> None:
    """Tell the server at `url` which runs here have crashed; if it does not answer, the next command will."""
    for note in _folder().glob("*.json"):
        program = noted(note)
        if program and (program.url != url or alive(program)):
            continue
        with suppress(*NO_ANSWER, OSError):
            if program:
                state = _state_of(note)
                _tell(f"{url}/flow_runs/{note.stem}", state)
                _end_tasks(url, note.stem, _CRASHED if state == _CRASHED else _UNTOLD)
            note.unlink(missing_ok=True)
            note.with_suffix(_STATE).unlink(missing_ok=True)


def _state_of(note: Path) -> dict[str, Any]:
    """Return how the run of the note ended: as it said, or by being killed."""
    try:
        return dict(json.loads(note.with_suffix(_STATE).read_text()))
    except (OSError, ValueError):
        return _CRASHED


def _tell(run: str, state: dict[str, Any]) -> None:
    try:
        if call(run)["state_type"] in _OPEN:
            call(f"{run}/set_state", {"state": state, "force": True})
    except RefusedError as error:
        if error.status != NOT_FOUND:
            raise


def _end_tasks(url: str, run: str, state: dict[str, Any]) -> None:
    """End the run's tasks as well, a page of the server's answer at a time."""
    wish = {"flow_runs": {"id": {"any_": [run]}}, "task_runs": {"state": {"type": {"any_": _OPEN}}}}
    ended: set[str] = set()
    while left := [task["id"] for task in call(f"{url}/task_runs/filter", wish) if task["id"] not in ended]:
        for task in left:
            call(f"{url}/task_runs/{task}/set_state", {"state": state, "force": True})
        ended.update(left)  # so that this ends even where the server keeps a state


def _folder() -> Path:
    return state_dir() / "runs" / platform.node()  # machines may share a home
