"""Print what a run would do: what it reads, into which parts it is cut, and where they would run."""

import json
from typing import TYPE_CHECKING

from anabranch.config import cluster_address, cores, work_dir
from anabranch.parts import Part, Plan
from anabranch.workloads import load

if TYPE_CHECKING:
    from anabranch.command import Request


def show_plan(request: "Request") -> int:
    """Print the plan of the first map; read only, without a server and without Prefect."""
    threads = request.run.workers or cores()
    plan: Plan[Part] = load(request.workload.survey)(request.source, work_dir(request.run), threads)
    where = cluster_address(request.run) or f"{threads} workers on this machine"
    if "json" in request.flags:
        parts = [{"index": part.index, "label": part.label, "cost_seconds": round(part.cost, 3)} for part in plan.parts]
        print(json.dumps({"flow": request.workload.name, "runs_on": where, "output": request.output, "parts": parts}))
        return 0
    for part in plan.parts:
        print(f"{part.index:>5}  {part.cost:8.2f} s  {part.label}")
    print(f"{len(plan.parts)} parts, {plan.cost:.1f} s of one core, on {where}; work files in {plan.folder}")
    return 0
