"""The pipeline in one process, part by part and in any order: what the flow does, without a flow."""

import json
import random
from pathlib import Path

from anabranch.core.parts import Job, Report
from anabranch.files.listing import listed
from anabranch.files.pipeline.agree import agreed, agreeing
from anabranch.files.pipeline.agree import work as agree
from anabranch.files.pipeline.join import join, results
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.plan import Applying, applying, probing
from anabranch.files.pipeline.preview import check
from anabranch.files.pipeline.work import work
from anabranch.files.plan import gathered
from anabranch.files.rounds import settle
from anabranch.files.versions import code_key
from anabranch.files.work import work as convert
from anabranch.formats.model import BLOCK
from anabranch.formats.survey import look, survey
from tests.files.converting import outcomes

STEPS = "tests.files.pipeline.steps"


def run(
    source: Path, output: Path, function: str, *, threads: int = 1, order: random.Random | None = None, **options
) -> Report:
    """Run every step with `function` of steps.py; `order` shuffles the parts and their outcomes."""
    plan = planned(source, output, function, threads=threads, order=order, **options)
    plan = results(plan, outcomes(work, plan.parts, order), threads)
    while plan.parts:
        plan.save()
        plan = settle(plan, outcomes(convert, plan.parts, order), threads)
    return join(plan)


def planned(
    source: Path, output: Path, function: str, *, threads: int = 1, order: random.Random | None = None, **options
) -> Applying:
    """Run the steps before the parts of the function, and give these."""
    named = {name: f"{STEPS}:{options.pop(name)}" for name in ("merge", "init", "final", "trigger") if name in options}
    chosen = PipelineOptions(function=f"{STEPS}:{function}", **named, **options)
    check([str(source)], str(output), chosen)
    job = Job([str(source)], str(output), chosen, output.parent / "work", threads, refresh=True)
    looks = survey(listed(job), (), job, code_key())
    known = gathered(looks, outcomes(look, looks.parts, order), job)
    types = agreeing(known, threads)
    types.save()
    probe = probing(agreed(known, outcomes(agree, types.parts, order)))
    probe.save()
    return applying(probe, outcomes(work, probe.parts), threads)


def write_lines(path: Path, rows: int) -> list[dict]:
    """Write so many records as JSON lines; give them."""
    records = [{"id": number, "name": f"name {number}"} for number in range(rows)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return records


def write_blocks(path: Path) -> int:
    """Write records of more than one block, as JSON lines or CSV; give their number: the last has the id -1."""
    count = BLOCK // 4000 + 2
    numbers, filling = [*range(count - 1), -1], "x" * 4000
    if path.suffix == ".csv":
        path.write_text("id,name\n" + "".join(f"{number},{filling}\n" for number in numbers))
    else:
        path.write_text("".join(json.dumps({"id": number, "name": filling}) + "\n" for number in numbers))
    return count


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]
