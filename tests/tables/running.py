"""Imports of files by threads of this process, as a test describes them."""

from pathlib import Path
from typing import Any

from anabranch.core.here import on_threads
from anabranch.core.parts import Job, Report
from anabranch.tables import plan as planning
from anabranch.tables.options import ImportOptions
from anabranch.tables.plan import TablePlan
from anabranch.tables.secrets import open_store
from anabranch.tables.way import way
from anabranch.tables.work import work


def job_for(source: Any, folder: Path, **options: Any) -> Job[ImportOptions]:
    """Describe an import whose reports and work files go into the folder."""
    named = source if isinstance(source, list) else [source]
    chosen = ImportOptions(**options)
    return Job([str(one) for one in named], str(folder / "reports"), chosen, folder / "work", 2)


def run(source: Any, folder: Path, *, records: int = 0, most: int = 0, **options: Any) -> Report:
    """Import; with `records` in parts of so many records, of at most `most` in all."""
    job = job_for(source, folder, **options)
    mapped = on_threads(2)

    def in_parts(step: Any, plan: Any) -> Any:
        cut = in_pieces(plan, records, most) if records and step is work else plan
        return mapped(step, cut)

    return way(job, in_parts, lambda: open_store(job.options.into))


def in_pieces(plan: TablePlan, records: int, most: int) -> TablePlan:
    """Cut the plan of one file into parts of so many records; the last takes what is left."""
    catalogue = plan.catalogue
    assert catalogue is not None
    starts = range(0, max(most, 1), records)
    parts = [
        planning.part_of(
            catalogue, plan.parts[0].catalogue, plan.folder, place, 0, 0, catalogue.files[0].units, 0.1,
            (start, start + records if start != starts[-1] else 1 << 60),
        )
        for place, start in enumerate(starts)
    ]  # fmt: skip
    return planning.replace(plan, parts=tuple(parts))
