"""The steps of an import, however parts are mapped: find, unpack, look, plan, coerce, and join in one transaction."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from anabranch.core.here import Mapped
from anabranch.core.parts import Job, Report, Written
from anabranch.core.sharing import clear, sharing
from anabranch.core.storage import fingerprint
from anabranch.core.words import PassedOver
from anabranch.formats.survey import known, look, survey
from anabranch.sources import remote
from anabranch.sources.finding import Found, find
from anabranch.sources.unpack import slices, unpack, unpacked
from anabranch.tables.history import Counts, known_files
from anabranch.tables.join import FLOW, join
from anabranch.tables.mapping import load_mapping
from anabranch.tables.options import ImportOptions
from anabranch.tables.plan import TablePlan, deciding, planned_import, policy_of, reads
from anabranch.tables.proposal import target_for
from anabranch.tables.stores.base import Store
from anabranch.tables.target import Import, TableName, Target
from anabranch.tables.transaction import Say, compared
from anabranch.tables.versions import code_key
from anabranch.tables.work import work

Connect = Callable[[], Store]  # to the database; called where the connection is used

_REPORTS = (".rejects.csv", ".rejects.tsv", ".rejects.jsonl", ".rejects.parquet", ".duplicates.parquet")


def planned(job: Job[ImportOptions], mapped: Mapped, connect: Connect) -> TablePlan:
    """Find the sources, look at each and at the table, and plan the parts; a dry run shows them."""
    options = job.options
    given = load_mapping(options)
    table = TableName.parse(options.table)
    found = sources(job)
    if not found.sources and not found.errors:  # nothing is asked of the database
        nothing = Import(Target(table, ()), (), (), policy_of(options), "", "")
        return TablePlan((), "", job=nothing, warnings=found.remarks)
    folder = str(_folder(job))
    cut = slices(
        [replace(source, work=folder, most=options.max_unpacked or "") for source in found.sources],
        Path(folder),
        job.threads,
        code_key(),
    )
    unpacking = mapped(unpack, cut)
    looks = survey(unpacked(cut, unpacking), options, folder, job.threads, code_key())
    looked = mapped(look, looks)
    seen = known(looked, options)
    with connect() as store:
        target = target_for(store, table, seen.files, given, options)
        create = "" if target.exists else store.create_sql(target)
        plan = planned_import(job, seen, target, given, folder)
        if plan.job and plan.parts:  # before any record is coerced; the transaction looks at the table again
            store.check(target, plan.job.columns, compared(plan.job))
            plan = _without(known_files(store, plan.job), plan, plan.job)
    return replace(
        plan,
        looked=(*unpacking, *looked),
        errors=(*found.errors, *plan.errors),
        warnings=(*found.remarks, *plan.warnings),
        reads=reads(seen),
        create=create,
    )


def _without(files: frozenset[int], plan: TablePlan, job: Import) -> TablePlan:
    """Leave out the parts of some files: an inbox is imported again and again, and only what is new is read."""
    parts = [part for part in plan.parts if part.file not in files]
    numbered = tuple(replace(part, index=index) for index, part in enumerate(parts))
    return replace(plan, parts=numbered, job=replace(job, known=files))


def way(job: Job[ImportOptions], mapped: Mapped, connect: Connect, say: Say = lambda _: None) -> Report:
    """Import the job's sources, all or none of their records; the report says what became of every one."""
    with sharing(_folder(job)) as alone:
        report = _imported(job, mapped, connect, say)
        if report.details["import"]["status"] == "committed" and alone():
            clear(_folder(job))  # a second import of the same files has nothing to do
    return report


def _folder(job: Job[ImportOptions]) -> Path:
    table = TableName.parse(job.options.table)
    facts = fingerprint(code_key(), sources(job).sources, table, deciding(job.options))
    return job.work_dir / "tables" / facts


def _imported(job: Job[ImportOptions], mapped: Mapped, connect: Connect, say: Say) -> Report:
    plan = planned(job, mapped, connect)
    if plan.job and not (plan.job.files or plan.errors):
        return _nothing(plan)
    done = mapped(work, plan) if plan.parts and not plan.errors else []
    for outcome in done:
        if outcome.done:
            say(
                "{}: {records:,} records = {rows:,} rows + {rejected:,} rejected".format(
                    outcome.part.label, **outcome.manifest.counts
                )
            )
    empty = Import(Target(TableName.parse(job.options.table), ()), (), (), policy_of(job.options), "", plan.folder)
    report = join(plan.job or empty, done, connect, errors=plan.errors, say=say)
    report.warnings[:0] = plan.warnings
    facts = report.details["import"]
    if facts["status"] == "committed":
        name, rows = f"table {facts['table']}", facts["accepted"]
        table = Written(name=name, place=job.options.into, kind="table", tag=facts["id"], rows=rows)
        report.written.insert(0, table)
    return report


def _nothing(plan: TablePlan) -> Report:
    """Report that there is no source, or that all are empty; there is nothing to ask the database for."""
    facts = {"status": "committed", **Counts().facts()}
    return Report(flow=FLOW, status="nothing_to_do", details={"import": facts}, warnings=list(plan.warnings))


def sources(job: Job[ImportOptions]) -> Found:
    """List the sources; reports that earlier imports left beside them only where they are named themselves."""
    found = find(job.source)
    kept = tuple(one for one in found.sources if not one.path.endswith(_REPORTS) or one.path in job.source)
    if kept or not found.sources:
        return Found(kept, found.errors, found.remarks)
    passed = PassedOver()
    for one in found.sources:
        passed.add("a report of an earlier import", one.label)
    return Found((), found.errors, (*found.remarks, passed.nothing_in(", ".join(map(remote.named, job.source)))))
