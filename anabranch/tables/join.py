"""Join the parts of an import: one connection, one transaction, one report."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from anabranch.core.errors import AnabranchError
from anabranch.core.parts import ErrorLine, Outcome, PartCounts, Report, Status
from anabranch.core.storage import shown
from anabranch.core.words import many
from anabranch.tables.history import Counts
from anabranch.tables.stores.base import Store
from anabranch.tables.target import Import, Piece
from anabranch.tables.transaction import Imported, Say, carry_out

FLOW = "import-table"


def join(
    job: Import,
    outcomes: Sequence[Outcome],
    connect: Callable[[], Store],
    *,
    errors: Sequence[AnabranchError] = (),
    say: Say = lambda _: None,
) -> Report:
    """Import what the parts of `work` brought, whatever the order in which they came; each part has its `file`.

    A part that failed, or a source that could not be read (`errors`), ends the import with nothing written: then the
    database is not even asked. TemporaryError: the database is lost or locked, and the same command goes on.
    """
    ordered = sorted(outcomes, key=lambda outcome: outcome.part.index)
    failures = [*errors, *(error for outcome in ordered for error in outcome.errors)]
    if failures:
        return _failed(job, ordered, failures)
    pieces = [Piece(cast("Any", outcome.part).file, outcome.manifest) for outcome in ordered]
    with connect() as store:
        done = carry_out(store, job, pieces, say)
    return report(job, ordered, done)


def _failed(job: Import, outcomes: Sequence[Outcome], failures: Sequence[AnabranchError]) -> Report:
    return Report(
        flow=FLOW,
        status="failed",
        parts=PartCounts.of(outcomes),
        bytes_in=sum(file.size for file in job.files),
        errors=[ErrorLine.of(error) for error in failures],
        details={"import": {"status": "file_error", "table": str(job.target.table)}},
    )


def report(job: Import, outcomes: Sequence[Outcome], done: Imported) -> Report:
    """Return what an import did."""
    total = Counts.total(done.counts)
    foreseen = done.error if done.status == "reported" else None
    refused = [f"the import would write nothing: {foreseen.reason}"] if foreseen else []
    warnings = [*refused, *done.warnings, *(warning for outcome in outcomes for warning in outcome.manifest.warnings)]
    details = {"import": {"status": done.status, "id": done.identity, "table": str(job.target.table), **total.facts()}}
    if len(done.counts) == len(job.files) > 1:
        details |= {file.label: dict(counts.facts()) for file, counts in zip(job.files, done.counts, strict=True)}
    if done.samples.rejects:
        details["import"] |= {"faults": done.samples.codes, "first_rejects": done.samples.rejects}
    if done.samples.duplicates:
        details["import"]["first_duplicates"] = done.samples.duplicates
    return Report(
        flow=FLOW,
        status=_status(done, total),
        parts=PartCounts.of(outcomes),
        items={"files": len(job.files), **total.facts()},
        bytes_in=sum(file.size for file in job.files),
        outputs=[shown(path) for path in done.outputs],
        written=done.written,
        errors=[ErrorLine.of(done.error)] if done.error and not foreseen else [],
        warnings=list(dict.fromkeys(warnings)),
        notes=[sentence(job, done, total)],
        details=details,
    )


def _status(done: Imported, total: Counts) -> Status:
    found = total.rejected
    if done.status == "reported":
        found += total.duplicates_in_file + total.duplicates_in_table + bool(done.error)
    if done.status == "aborted":
        return "failed"
    if done.status == "already_imported" or not total.rows_in_file:
        return "nothing_to_do"
    return "partly_failed" if found else "completed"


def sentence(job: Import, done: Imported, total: Counts) -> str:
    """Return in one line what became of all records."""
    names = job.files[0].label if len(job.files) == 1 else many(len(job.files), "file")
    head = f"{names} → {job.target.table}: {many(total.rows_in_file, 'record')}"
    if done.status == "already_imported":
        return f"{names} → {job.target.table}: already imported (import {done.identity})"
    words = {"committed": "inserted", "aborted": "acceptable", "reported": "acceptable"}[done.status]
    in_table = (
        f"{total.updated:,} updated + {total.unchanged:,} unchanged in the table"
        if job.policy.on_duplicate == "update"
        else f"{total.duplicates_in_table:,} in the table"
    )
    counts = (
        f"{total.would_accept:,} {words} + {total.duplicates_in_file:,} duplicates in the file + {in_table} "
        f"+ {total.rejected:,} rejected"
    )
    nothing = "" if done.status == "committed" else "; nothing was written"
    return f"{head} = {counts}{nothing}"
