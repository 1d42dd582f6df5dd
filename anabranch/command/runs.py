"""The commands `runs list`, `show`, `watch`, `retry` and `cancel`: what ran, and what is running."""

import json as json_format
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from anabranch.command.extras import as_text
from anabranch.command.stdout import readers_may_leave
from anabranch.command.workloads import WORKLOADS
from anabranch.run import runs
from anabranch.run.api import page_of
from anabranch.run.naming import started_by
from anabranch.run.server import ensure_server

FLOWS = [workload.name for workload in WORKLOADS]

Run = Annotated[str, Parameter(help="A run, by its id, the first characters of it, or its name.")]
Most = Annotated[int, Parameter(name="--limit", help="How many, the newest first.")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]


def list_all(*, most: Most = 20, json: Json = False) -> int:
    """List the newest runs, also of schedules and of other commands: flow, what started it, state, start, duration."""
    found = [_row(run) for run in runs.recent(ensure_server(), FLOWS, most)]
    _print(found, as_text(found), json=json)
    return 0


def show(run: Run, /, *, json: Json = False) -> int:
    """Show a run: its state, and the report that it has published."""
    url = ensure_server()
    found = runs.one(url, FLOWS, run)
    report = runs.report_of(url, found["id"])
    row = {**_row(found), "message": (found["state"] or {}).get("message") or "", "page": page_of(url, found["id"])}
    whole = {**row, "report": report and report.model_dump(mode="json")}
    text = [as_text(row)]
    if report:
        text += ["", report.message, *(f"{name}: {number:,}" for name, number in report.items.items())]
        for title, lines in (("error", report.errors), ("warning", report.warnings), ("note", report.notes)):
            text += [f"{title}: {line}" for line in lines]
        text += [f"output: {output}" for output in report.outputs]
    _print(whole, "\n".join(text), json=json)
    return 0


def watch(run: Run, /) -> int:
    """Wait until a run has ended, printing each of its states; the exit code is that of its end, as the command's."""
    url = ensure_server()
    found, code = runs.one(url, FLOWS, run), 1
    for state in runs.until_the_end(url, found["id"]):
        print(f"{found['name']}: {state.get('name')}{': ' if state.get('message') else ''}{state.get('message') or ''}")
        sys.stdout.flush()
        code = 3 if state.get("name") == "PartlyFailed" else runs.ENDS.get(str(state.get("type")), code)
    return code


def retry(run: Run, /) -> int:
    """Run again what has ended, with the same parameters, by its deployment; only what failed or is missing is done."""
    url = ensure_server()
    made = runs.again(url, runs.one(url, FLOWS, run))
    print(f"{made.id}\n{made.url}")
    return 0


def cancel(run: Run, /) -> int:
    """Ask a run to stop: its parts end at their next item, and the same run resumes later."""
    url = ensure_server()
    found = runs.one(url, FLOWS, run)
    print(f"{found['name']}: {runs.cancel(url, found)}")
    return 0


def _row(run: Mapping[str, Any]) -> dict[str, Any]:
    state = run["state"] or {}
    flow = {"flow": run["flow"]} if "flow" in run else {}
    return {
        "run": run["id"], "name": run["name"], **flow, "by": started_by(run),
        "state": state.get("name", ""), "began": (run["start_time"] or "")[:19], "seconds": runs.seconds_of(run),
    }  # fmt: skip


def _print(found: Mapping[str, Any] | Sequence[Mapping[str, Any]], text: str, *, json: bool) -> None:
    with readers_may_leave():
        print(json_format.dumps(found, indent=2) if json else text)
