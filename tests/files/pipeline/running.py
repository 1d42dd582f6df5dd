"""The pipeline in one process, part by part and in any order: what the flow does, without a flow."""

import json
import random
from functools import partial
from pathlib import Path

from anabranch.core.parts import Job, Report
from anabranch.files.pipeline import way
from anabranch.files.pipeline.join import join
from anabranch.files.pipeline.options import PipelineOptions
from anabranch.files.pipeline.plan import Applying
from anabranch.files.pipeline.preview import check
from anabranch.formats.model import BLOCK
from tests.files.converting import mapped

STEPS = "tests.files.pipeline.steps"


def run(
    source: Path, output: Path, function: str, *, threads: int = 1, order: random.Random | None = None, **options
) -> Report:
    """Run every step with `function` of steps.py; `order` shuffles the parts and their outcomes."""
    job = checked(source, output, function, threads=threads, **options)
    return join(way.way(job, partial(mapped, order)))


def planned(
    source: Path, output: Path, function: str, *, threads: int = 1, order: random.Random | None = None, **options
) -> Applying:
    """Run the steps before the parts of the function, and give these."""
    job = checked(source, output, function, threads=threads, **options)
    return way.planned(job, partial(mapped, order))


def checked(source: Path, output: Path, function: str, *, threads: int, **options) -> Job:
    named = {name: f"{STEPS}:{options.pop(name)}" for name in ("merge", "init", "final", "trigger") if name in options}
    chosen = PipelineOptions(function=f"{STEPS}:{function}", **named, **options)
    check([str(source)], str(output), chosen)
    return Job([str(source)], str(output), chosen, output.parent / "work", threads, refresh=True)


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
