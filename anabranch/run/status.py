"""How far the runs here are: each that counts its files keeps a small file with that in its work folder.

A run whose process was killed leaves its file as it was, so the file says which process that is. Nothing here imports
Prefect.
"""

import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anabranch.core.errors import UsageError
from anabranch.core.tally import ACTIVE, FAILED, WAITING, FileProgress, Tally
from anabranch.run.background import Program, alive

FOLDER = "status"  # below the work folder; a file that was not used for a week is removed
RUNNING, KILLED, STOPPED = "running", "killed", "stopped"
MOST_FILES = 200  # of one run, those under way first; the run's report has them all
BEAT_SECONDS = 5.0  # between two signs of life
LOST_SECONDS = 60.0  # without one, after which a run of another machine counts as killed


def counted(tally: Tally) -> dict[str, Any]:
    """Return how far all files are, and each of the first MOST_FILES of them: under way, failed, waiting, done."""
    counts, listed = tally.counts(), tally.files(MOST_FILES)
    total, open_or_failed = sum(counts.values()), {state: counts[state] for state in (ACTIVE, WAITING, FAILED)}
    return {
        "files": {"total": total, "done": total - sum(open_or_failed.values()), **open_or_failed},
        "total": _figures(tally.all),
        "uploads": [{"file": file.name, "state": file.state, **_figures(file)} for file in listed],
        "not_listed": total - len(listed),
    }


def _figures(file: FileProgress) -> dict[str, Any]:
    left = file.seconds_left
    return {
        "parts_total": file.parts,
        "parts_done": file.done,
        "parts_failed": file.failed,
        "bytes_total": file.size,
        "bytes_done": file.bytes_so_far,
        "percent": round(100 * file.fraction, 1),
        "elapsed_seconds": round(file.seconds, 1),
        "seconds_left": None if left is None else round(left, 1),
        "parts_per_second": round(file.parts_per_second, 2),
        "bytes_per_second": round(file.bytes_per_second),
    }


def runs(work_dir: Path) -> list[dict[str, Any]]:
    """Return what each run of the last week left or keeps up to date in this work folder, the newest first."""
    return sorted(_read(work_dir), key=lambda run: str(run["started"]), reverse=True)


def active(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the runs that are under way, and of each the files that are."""
    runs = []
    for run in found:
        if run["state"] == RUNNING:
            listed = [upload for upload in run["uploads"] if upload["state"] == ACTIVE]
            runs.append({**run, "uploads": listed, "not_listed": run["files"][ACTIVE] - len(listed)})
    return runs


def one_run(work_dir: Path, wanted: str) -> dict[str, Any]:
    """Return the run of this id, of an id that begins so, or of this name; UsageError "no-such-run" without one."""
    found = [run for run in runs(work_dir) if wanted == run["name"] or (wanted and run["run"].startswith(wanted))]
    if len(found) != 1:
        what = f"{len(found)} runs are meant by {wanted}" if found else f"no run {wanted} has left its status"
        remedy = "Name a run by its id or name as its page shows it. Only uploads leave a status, for a week."
        raise UsageError("no-such-run", f"{what} in {work_dir / FOLDER}", remedy)
    return found[0]


def _read(work_dir: Path) -> Iterator[dict[str, Any]]:
    for path in (work_dir / FOLDER).glob("*.json"):
        with suppress(OSError, ValueError, TypeError, KeyError):  # removed meanwhile, or damaged
            seen = path.stat().st_mtime
            found = json.loads(path.read_bytes())
            if found["state"] == RUNNING and not _lives(found["process"], seen):
                _mark_killed(found)
            yield found


def _lives(process: Mapping[str, Any], seen: float) -> bool:
    if process["host"] == platform.node():
        return alive(Program(process["pid"], process["started"], ""))
    return time.time() - seen < LOST_SECONDS


def _mark_killed(found: dict[str, Any]) -> None:
    found["state"] = KILLED
    stop_counting(found)


def stop_counting(found: dict[str, Any]) -> None:
    """Change the figures of a run that is over: what it had under way is not under way any more."""
    for each in (found["total"], *found["uploads"]):
        each["seconds_left"] = None
        if each.get("state") == ACTIVE:
            each["state"] = STOPPED
    found["files"]["stopped"], found["files"]["active"] = found["files"]["active"], 0


def now() -> str:
    """Return the time as the files have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
