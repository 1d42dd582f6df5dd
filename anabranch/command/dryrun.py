"""Print what a run would do: what it reads, into which parts it is split, and where they would run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anabranch.command.request import Request
from anabranch.command.stdout import readers_may_leave
from anabranch.command.workloads import load
from anabranch.core.config import cluster_address, cores, work_dir
from anabranch.core.parts import Job, Part, Plan
from anabranch.core.storage import shown
from anabranch.core.words import many

_MB = 1_000_000


def show_plan(request: Request, writes: Sequence[Path]) -> int:
    """Print the plan; nothing is written, and neither a server nor Prefect is needed."""
    threads = request.run.workers or cores()
    job = Job(request.source, request.output, request.options, work_dir(request.run), threads, request.run.refresh)
    plan: Plan[Part] = load(request.workload.preview)(job)
    writes = plan.written(writes)
    here = "one thread" if threads == 1 else f"{threads} threads or processes"
    where = cluster_address(request.run) or f"{here} of this machine"
    with readers_may_leave():
        if "json" in request.flags:
            print(json.dumps(_plain(request, plan, writes, where)))
        else:
            _print(plan, writes, where)
    return 0


def _print(plan: Plan[Part], writes: Sequence[Path], where: str) -> None:
    for file in plan.reads:
        print(f"reads   {_size(file.size):>12}  {shown(file.path)}")
    for about, text in plan.notes():
        print(f"{about:20}  {text}")
    for path in writes:
        print(f"{'replaces' if path.exists() else 'writes':20}  {shown(str(path))}")
    for part in plan.parts:
        print(f"part    {part.cost:9.2f} s   {part.label}")
    print(f"Planned so far: {many(len(plan.parts), 'part')}, {plan.cost:.1f} s of one core, on {where}.")


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= _MB else f"{size:,} bytes"


def _plain(request: Request, plan: Plan[Part], writes: Sequence[Path], where: str) -> dict[str, Any]:
    return {
        "flow": request.workload.name,
        "runs_on": where,
        "reads": [{"path": shown(file.path), "bytes": file.size} for file in plan.reads],
        "notes": [{"about": about, "text": text} for about, text in plan.notes()],
        "writes": [shown(str(path)) for path in writes],
        "parts": [{"label": part.label, "seconds": round(part.cost, 3)} for part in plan.parts],
    }
