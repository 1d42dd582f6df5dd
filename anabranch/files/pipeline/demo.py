"""The demo of run-pipeline: a function over every order of a sample."""

from itertools import islice
from pathlib import Path
from typing import Any

from anabranch.core.demo import Run, Show, Steps
from anabranch.files.demo import sample

Record = dict[str, Any]


def dear(order: Record) -> Record | None:
    """Return the order with its total, or drop it where that is below 2,000."""
    total = round(order["pieces"] * order["price"], 2)
    return {**order, "total": total} if total >= 2000 else None  # noqa: PLR2004  as described


def demo(folder: Path) -> Steps:
    """Write a sample of orders unless it is there, call `dear` for each, and show the first results."""
    orders = yield from sample(folder)
    yield Run(("run-pipeline", str(orders), f"{folder}/dear/", "--function", f"{__name__}:dear"))
    written = folder / "dear" / "orders.jsonl"
    with written.open() as lines:
        yield Show("\n".join([f"--- the start of {written}:", *map(str.rstrip, islice(lines, 3))]))
